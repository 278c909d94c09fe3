//! Answers and refusals, before they have a request's id.

use super::content::Content;

/// An answer: also what a test gives in the place of the real one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Content,
}

impl Answer {
    /// A status and nothing else.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A document.
    pub(crate) fn xml(text: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: text.into() }.header("content-type", "application/xml")
    }

    /// An error as both services write it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Refusal::new(status, code, message).into_answer("scripted", "scripted")
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What happens to a request in the place of an honest answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This is answered and nothing is done.
    Answer(Answer),
    /// The connection is closed and nothing is done.
    Drop,
    /// All is done, and the connection is closed without a word.
    PerformAndDrop,
    /// All is done, and the body of the answer breaks off after so many bytes.
    PerformAndCut(u64),
    /// Nothing is done and nothing is answered for as long as anybody waits.
    Hang,
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) headers: Vec<(String, String)>,
    /// More elements of the document, as they are.
    pub(crate) more: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, message, headers: Vec::new(), more: String::new() }
    }

    /// The refusal of an argument.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(crate) fn into_answer(self, request: &str, host: &str) -> Answer {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
             <RequestId>{request}</RequestId><HostId>{host}</HostId>{}</Error>",
            self.code,
            super::xml::escape(&self.message),
            self.more
        );
        let mut answer = Answer::xml(text);
        answer.status = self.status;
        answer.headers.extend(self.headers);
        answer
    }
}

/// What an operation comes to.
pub(crate) type Outcome = Result<Answer, Refusal>;
