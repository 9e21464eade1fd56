//! The admin API, as a script would use it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use super::wait::DEADLINE;

/// The API of a running node.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    authority: String,
    token: String,
}

impl Api {
    /// Finds address and token in the data directory.
    pub(crate) fn of(data: &Path) -> Self {
        let text = std::fs::read(data.join("admin.json")).expect("the node wrote admin.json");
        let access: Value = serde_json::from_slice(&text).expect("admin.json is JSON");
        let url = access["url"].as_str().expect("admin.json has a url");
        let authority = url.strip_prefix("http://").expect("the API is local").to_owned();
        let token = access["token"].as_str().expect("admin.json has a token").to_owned();
        Self { authority, token }
    }

    /// Its host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// What opens it.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Calls; gives status and body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Vec<u8>) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.authority).expect("the API listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.authority,
            self.token,
            body.len()
        )
        .expect("the API takes the request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("the API answers");
        let end = response
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("the answer has a head");
        let head = String::from_utf8_lossy(&response[..end]).into_owned();
        assert!(!head.to_lowercase().contains("transfer-encoding"), "answers have a length");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("the answer has a status"), response.split_off(end + 4))
    }

    /// Reads JSON.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.json("GET", path, None)
    }

    /// Sends JSON, gets JSON; the call must succeed.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.json("POST", path, Some(body))
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, body) = self.call(method, path, body);
        let text = String::from_utf8_lossy(&body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") }
    }

    /// One channel's part of the status.
    pub(crate) fn channel(&self, name: &str) -> Value {
        let status = self.get("/api/v1/status");
        let channels = status["channels"].as_array().expect("the status lists channels");
        let found = channels.iter().find(|channel| channel["name"] == name);
        found.unwrap_or_else(|| panic!("no channel {name} in {status}")).clone()
    }

    /// A counter of a channel, such as `delivered`.
    pub(crate) fn counter(&self, channel: &str, counter: &str) -> u64 {
        self.channel(channel)["counters"][counter].as_u64().expect("a counter is a number")
    }

    /// The proof; it must hold, and each channel's numbers must add up.
    pub(crate) fn proof(&self) -> Value {
        let proof = self.get("/api/v1/proof");
        check_proof(&proof);
        proof
    }

    /// The messages that a search finds, newest first.
    pub(crate) fn search(&self, request: &Value) -> Vec<Value> {
        let page = self.post("/api/v1/messages/search", request);
        page["messages"].as_array().expect("a page has messages").clone()
    }
}

/// Checks promise 4 on what a proof says, without trusting its own verdict alone.
pub(crate) fn check_proof(proof: &Value) {
    assert_eq!(proof["holds"], true, "the proof holds: {proof}");
    for channel in proof["channels"].as_array().expect("a proof lists channels") {
        let counters = &channel["counters"];
        let number = |name: &str| counters[name].as_u64().expect("a counter is a number");
        let ended: u64 = ["delivered", "filtered", "parked", "rejected", "superseded"]
            .into_iter()
            .map(number)
            .sum();
        let in_flight = channel["in_flight_counted"].as_u64().expect("counted one by one");
        assert_eq!(number("received"), ended + in_flight, "{channel}");
        assert_eq!(channel["anomalies"], 0, "{channel}");
    }
}
