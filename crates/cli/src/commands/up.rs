//! `pipehat up`: runs a project.

use std::net::SocketAddr;

use pipehat_engine::project::{BotSpec, CronTrigger};
use pipehat_server::{Node, NodeOptions, ProjectLook};

use super::project::{ProjectArguments, load, must_exist};
use crate::exit::{Exit, Failure};
use crate::memory;
use crate::terminal::{Terminal, Tone};

const EXAMPLES: &str = "\
Examples:
  pipehat up                             run the project in this folder
  pipehat up examples/relay --data /var/lib/pipehat
  pipehat up examples/datastore          the FHIR datastore alone, at /fhir/R4
  pipehat up --http 127.0.0.1:9000       the admin API and FHIR somewhere else

The data directory holds the journal, the index and the checkpoint. The key that seals it is made
at the first start beside it (DATA.key): keep a copy of it elsewhere, without it the data can't be
read. Changes of the project directory take effect as they are saved; one with mistakes is refused,
and the configuration before runs on. Stop with Ctrl-C or SIGTERM: nothing that was acknowledged is
lost, however it stops.";

/// Run a project: receive, keep, acknowledge, transform, deliver
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,

    /// Where the admin API and the FHIR API listen [env: PIPEHAT_HTTP] [default: 127.0.0.1:8103, or
    /// any free port]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,

    /// Do not apply changes of the project directory while running
    #[arg(long)]
    no_watch: bool,

    /// Do not write the message index: `pipehat messages` finds nothing
    #[arg(long)]
    no_index: bool,

    /// Do not seal the data: for benches only, patient data then lies open on the disk
    #[arg(long, hide = true)]
    unsealed: bool,

    /// Lines of JSON instead of sentences
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        must_exist(&self.project.directory)?;
        memory::use_small_pages();
        let watch = (!self.no_watch).then(|| ProjectLook::of(&self.project.directory));
        let Some(project) = load(&self.project.directory, terminal) else {
            return Ok(Exit::NotSo);
        };
        let data = self.project.data_directory(&project.settings);
        let http = match self.http {
            Some(address) => Some(address),
            None => http_variable()?,
        };
        let bots =
            project.bots.iter().filter(|bot| bot.enabled).map(|bot| ShownBot::of(bot)).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::could_not)?;
        let options = NodeOptions {
            project,
            data,
            sealed: !self.unsealed,
            indexed: !self.no_index,
            http,
            watch,
        };
        runtime.block_on(serve(options, bots, self.json, terminal))
    }
}

/// The variable that says where to listen.
pub(super) fn http_variable() -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = std::env::var("PIPEHAT_HTTP").ok().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Failure::usage(
            "the variable PIPEHAT_HTTP is no IP address with a port, such as 127.0.0.1:8103",
        )
    })
}

/// A bot as it is announced.
struct ShownBot {
    name: String,
    /// What it runs for, beside calls and steps of channels.
    runs_for: Vec<String>,
    has_webhook: bool,
    /// When it runs by the clock.
    times: Vec<String>,
}

impl ShownBot {
    fn of(bot: &BotSpec) -> Self {
        let zone =
            |trigger: &CronTrigger| trigger.time_zone.iana_name().unwrap_or("UTC").to_owned();
        let times: Vec<String> =
            bot.cron.iter().map(|trigger| format!("{} {}", trigger.at, zone(trigger))).collect();
        let triggers = [
            ("changes of the datastore".to_owned(), !bot.subscriptions.is_empty()),
            ("a webhook".to_owned(), bot.webhook.is_some()),
            (format!("the clock ({})", times.join("; ")), !bot.cron.is_empty()),
        ];
        let runs_for = triggers.into_iter().filter_map(|(what, is)| is.then_some(what));
        Self {
            name: bot.name.to_string(),
            // One that is not enabled is run by steps and calls alone.
            runs_for: runs_for.filter(|_| bot.enabled).collect(),
            has_webhook: bot.webhook.is_some() && bot.enabled,
            times: if bot.enabled { times } else { Vec::new() },
        }
    }

    /// Where its webhook is called.
    fn webhook(&self, http: &str) -> Option<String> {
        self.has_webhook.then(|| format!("{http}/bots/{}", self.name))
    }
}

async fn serve(
    options: NodeOptions,
    bots: Vec<ShownBot>,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut stop = StopSignals::new().map_err(Failure::could_not)?;
    let key_is_new = options.sealed && !options.data.key_file().exists();
    let node = Node::start(options).await.map_err(Failure::could_not)?;
    announce(&node, &bots, key_is_new, json, terminal).await?;
    tokio::select! {
        () = stop.wait() => {}
        () = memory::give_back() => {}
    }
    if !json {
        terminal.note("stopping: no new messages; finishing what is under way");
    }
    tokio::select! {
        stopped = node.stop() => stopped.map_err(Failure::could_not)?,
        () = stop.wait() => {
            terminal.warn("stopped at once; what was under way is delivered again at the next start");
        }
    }
    Ok(Exit::Ok)
}

async fn announce(
    node: &Node,
    bots: &[ShownBot],
    key_is_new: bool,
    json: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let statuses = node.engine().status().await;
    let recovery = node.recovery();
    let http = format!("http://{}", node.address());
    if json {
        let channels: Vec<_> = statuses
            .iter()
            .map(
                |status| serde_json::json!({ "channel": &*status.name, "address": status.address }),
            )
            .collect();
        let line = serde_json::json!({
            "ready": true,
            "http": http,
            "fhir": node.fhir_url(),
            "data": node.data().root(),
            "records": recovery.records(),
            "channels": channels,
            "bots": bots
                .iter()
                .map(|bot| {
                    serde_json::json!({
                        "bot": bot.name, "webhook": bot.webhook(&http), "cron": bot.times,
                    })
                })
                .collect::<Vec<_>>(),
        });
        terminal.write(|output| writeln!(output, "{line}"))?;
        return Ok(());
    }
    terminal.write(|output| {
        for status in &statuses {
            let name = terminal.paint(Tone::Strong, &status.name);
            // What follows the datastore has no address.
            let at = status.address.as_ref().map(|at| format!(" on {at}")).unwrap_or_default();
            let to: Vec<&str> =
                status.destinations.iter().map(|destination| &*destination.name).collect();
            let to = if to.is_empty() { "the journal".to_owned() } else { to.join(", ") };
            writeln!(output, "{name}  {}{at} → {to}", status.source_connector)?;
        }
        for bot in bots {
            let name = terminal.paint(Tone::Strong, &bot.name);
            let runs_for = match bot.runs_for.as_slice() {
                [] => "steps and calls".to_owned(),
                triggers => triggers.join(", "),
            };
            let at = bot.webhook(&http).map(|url| format!(": {url}")).unwrap_or_default();
            writeln!(output, "{name}  bot for {runs_for}{at}")?;
        }
        if let Some(url) = node.fhir_url() {
            writeln!(output, "FHIR R4    {url}")?;
        }
        writeln!(output, "admin API  {http}")?;
        writeln!(
            output,
            "data       {} ({} records)",
            node.data().root().display(),
            recovery.records()
        )
    })?;
    if let Some(torn) = &recovery.torn {
        terminal.note(format_args!(
            "the last write of the run before was cut off and removed ({} bytes); nothing of it had been acknowledged",
            torn.bytes
        ));
    }
    if key_is_new {
        terminal.warn(format_args!(
            "made the key that seals the data: {}; keep a copy elsewhere",
            node.data().key_file().display()
        ));
    }
    Ok(())
}

/// Ctrl-C and SIGTERM.
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
