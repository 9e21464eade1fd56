//! Calls of bots over the FHIR API, as the book and the threads see them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::StatusCode;
use pipehat_resource::json::Value;
use pipehat_resource::outcome::IssueCode;
use pipehat_store::bots::RunState;
use serde::Deserialize;

use super::failure::Failed;
use super::input;
use super::resources::{SYSTEM, file_name, with_code};
use super::service::{Bots, NotFound, Task, compile, told};
use super::webhook::status_of;
use crate::fhir::{BotAnswer, BotCall, BotCalls, Problem};

/// Answers calls of bots.
pub(crate) struct Calls(pub(crate) Arc<Bots>);

/// The body of `$deploy`.
#[derive(Deserialize)]
struct Code {
    code: String,
    #[serde(default)]
    filename: Option<String>,
}

fn problem(error: &NotFound) -> Problem {
    let (status, code) = match error {
        NotFound::Nobody => (StatusCode::NOT_FOUND, IssueCode::NotFound),
        NotFound::NoCode | NotFound::Broken(_) => {
            (StatusCode::BAD_REQUEST, IssueCode::BusinessRule)
        }
        NotFound::Unread => (StatusCode::SERVICE_UNAVAILABLE, IssueCode::Transient),
    };
    Problem::new(status, code, error.to_string())
}

fn failure(failed: &Failed) -> Problem {
    let run =
        failed.run.map(|run| format!("; `pipehat bot show {run}` has more")).unwrap_or_default();
    let code = match failed.code {
        "bot.busy" => IssueCode::Throttled,
        "bot.input" => IssueCode::Invalid,
        _ => IssueCode::Exception,
    };
    Problem::new(status_of(failed), code, format!("{} ({}){run}", failed.why, failed.code))
}

impl BotCalls for Calls {
    fn execute(&self, call: BotCall) -> BoxFuture<'_, Result<BotAnswer, Problem>> {
        self.execute_bot(call).boxed()
    }

    fn deploy<'a>(&'a self, bot: Value, body: &'a [u8]) -> BoxFuture<'a, Result<Value, Problem>> {
        async move {
            let Code { code, filename } = serde_json::from_slice(body).map_err(|_| {
                let form = "send JSON such as {\"code\": \"export async function handler…\", \"filename\": \"index.ts\"}";
                Problem::bad_request(IssueCode::Structure, form).at_location("body")
            })?;
            let name = file_name(filename.as_deref().unwrap_or("index.ts"), &code);
            let script = compile(name.clone(), code.clone());
            if !script.await.map_err(|error| problem(&error))?.may_have_handler() {
                let why = "the code exports no `handler`: write `export async function handler(medplum, event) { … }`";
                return Err(Problem::bad_request(IssueCode::Invalid, why).at_location("code"));
            }
            Ok(with_code(bot, &name, &code))
        }
        .boxed()
    }

    fn status<'a>(&'a self, bot: &'a str, run: u64) -> BoxFuture<'a, Result<BotAnswer, Problem>> {
        async move {
            let book = Arc::clone(self.0.book());
            let found = tokio::task::spawn_blocking(move || book.run(run)).await;
            let unread = || problem(&NotFound::Unread);
            let found = found.map_err(|_| unread())?.map_err(|_| unread())?;
            let Some(found) = found.filter(|found| found.bot == bot && found.trigger == "execute")
            else {
                return Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    IssueCode::NotFound,
                    "there is no such run of this bot (any more)",
                ));
            };
            match found.state {
                RunState::Waiting | RunState::Running => Ok(BotAnswer {
                    status: StatusCode::ACCEPTED,
                    content_type: String::new(),
                    body: Bytes::new(),
                    run,
                    is_under_way: true,
                }),
                RunState::Done => Ok(BotAnswer {
                    status: StatusCode::OK,
                    content_type: found.result_type.unwrap_or_default(),
                    body: found.result.into(),
                    run,
                    is_under_way: false,
                }),
                RunState::Failed | RunState::Dead => Err(Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    IssueCode::Exception,
                    found.why.unwrap_or_else(|| "the run failed".to_owned()),
                )),
            }
        }
        .boxed()
    }

    fn is_of_project(&self, id: &str) -> bool {
        self.0.is_of_project(id)
    }

    fn identified(&self, system: Option<&str>, value: &str) -> Option<String> {
        let own = system.is_some_and(|system| system == SYSTEM);
        (own && self.0.is_of_project(value)).then(|| value.to_owned())
    }
}

impl Calls {
    async fn execute_bot(&self, call: BotCall) -> Result<BotAnswer, Problem> {
        let BotCall { bot, client, content_type, headers, body, is_async } = call;
        let found = self.0.find(&bot).await.map_err(|error| problem(&error))?;
        if let Err(why) = input::input(&content_type, body.to_vec()) {
            return Err(Problem::bad_request(IssueCode::Invalid, why).at_location("body"));
        }
        let task = Task {
            bot: found,
            trigger: "execute",
            source: format!("client {client}"),
            content_type: content_type.clone(),
            body: body.to_vec(),
            headers,
        };
        if is_async {
            let run = self.0.promise(task).await.map_err(|failed| failure(&failed))?;
            return Ok(BotAnswer {
                status: StatusCode::ACCEPTED,
                content_type: String::new(),
                body: Bytes::new(),
                run,
                is_under_way: true,
            });
        }
        match self.0.run(task).await {
            Ok(done) => {
                let run = done.run;
                let (content_type, body) = told(done.output, &content_type, &body);
                Ok(BotAnswer {
                    status: StatusCode::OK,
                    content_type,
                    body,
                    run,
                    is_under_way: false,
                })
            }
            // Who sends a message is answered by one, whatever happened.
            Err(failed) if input::is_hl7(&content_type) => {
                let run = failed.run.map(|run| format!(", run {run}")).unwrap_or_default();
                let text = format!("the bot failed ({}){run}", failed.code);
                let reply = input::acknowledgment(&body, Some(&text), jiff::Timestamp::now());
                Ok(BotAnswer {
                    status: status_of(&failed),
                    content_type,
                    body: reply.into(),
                    run: failed.run.unwrap_or_default(),
                    is_under_way: false,
                })
            }
            Err(failed) => Err(failure(&failed)),
        }
    }
}
