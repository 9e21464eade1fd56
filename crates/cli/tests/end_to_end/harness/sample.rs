//! Synthetic messages, and what the sample project makes of them.

use pipehat_message::Message;
use pipehat_message::Path;

/// A message that says which it is: its patient, and its number among the patient's messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sample {
    pub(crate) sender: String,
    pub(crate) patient: u64,
    pub(crate) number: u64,
    pub(crate) trigger: &'static str,
    /// Text added to make it longer.
    pub(crate) filler: usize,
}

/// The table that samples' sexes are mapped by.
pub(crate) fn gender_table() -> &'static str {
    "from,to\nM,male\nF,female\n"
}

impl Sample {
    pub(crate) fn new(sender: &str, patient: u64, number: u64) -> Self {
        Self { sender: sender.to_owned(), patient, number, trigger: "A01", filler: 40 }
    }

    /// MSH-10, unique among all samples.
    pub(crate) fn control_id(&self) -> String {
        format!("{}-{}-{}", self.sender, self.patient, self.number)
    }

    /// PID-3.1.
    pub(crate) fn patient_id(&self) -> String {
        format!("{}P{}", self.sender, self.patient)
    }

    /// The message as it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.render(
            "SAMPLEAPP",
            "SAMPLEFAC",
            "",
            if self.patient.is_multiple_of(2) { "M" } else { "F" },
        )
    }

    /// What arrives when MSH-5 and MSH-6 are set, PID-8 is mapped by the table, and PID-3.1 is
    /// copied to PID-2.
    pub(crate) fn relayed(&self) -> Vec<u8> {
        let sex = if self.patient.is_multiple_of(2) { "male" } else { "female" };
        self.render("LAB", "GENERAL", &self.patient_id(), sex)
    }

    fn render(&self, application: &str, facility: &str, copied: &str, sex: &str) -> Vec<u8> {
        let (id, patient, trigger) = (self.control_id(), self.patient_id(), self.trigger);
        let (sender, number) = (&self.sender, self.number);
        let filler = "lorem ipsum dolor sit amet ".chars().cycle().take(self.filler);
        let filler: String = filler.collect();
        format!(
            "MSH|^~\\&|{sender}|WARD|{application}|{facility}|20260102030405||ADT^{trigger}|{id}|P|2.5.1\r\
             EVN|{trigger}|20260102030405\r\
             PID|1|{copied}|{patient}^^^SITE^MR||SAMPLE^PERSON||19700101|{sex}\r\
             PV1|1|I|WARD^1^1\r\
             ZCN|{number}|{filler}\r"
        )
        .into_bytes()
    }
}

/// A field of a message, raw.
pub(crate) fn field(message: &[u8], path: &str) -> String {
    let message = Message::parse(message).expect("the message can be parsed");
    let path = Path::parse(path).expect("the path can be parsed");
    let value = message.get(&path).map(|value| value.raw().to_vec());
    String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
}

/// Messages so that a failed comparison can be read.
pub(crate) fn texts(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(message).replace('\r', "\n")).collect()
}
