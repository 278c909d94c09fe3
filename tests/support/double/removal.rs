//! The removal of many objects by one request.

use super::answer::{Answer, Outcome, Refusal};
use super::call::Call;
use super::listing::Writing;
use super::rules::Rules;
use super::state::State;
use super::xml;

pub(crate) fn remove(state: &mut State, call: &Call, rules: &Rules, text: &[u8]) -> Outcome {
    call.only(&["delete", "encoding-type"])?;
    let writing = Writing::asked(call, rules)?;
    if rules.delete_needs_md5 && call.header("content-md5").is_none() {
        let (code, message) = ("MissingArgument", "Missing Some Required Arguments: Content-MD5");
        let code = if rules.dialect == super::rules::Dialect::Oss { code } else { "InvalidRequest" };
        return Err(Refusal::new(400, code, message));
    }
    let malformed = || Refusal::new(400, "MalformedXML", "The XML you provided was not well-formed.");
    let root = std::str::from_utf8(text).ok().and_then(xml::parse).ok_or_else(malformed)?;
    if root.name != "Delete" {
        return Err(malformed());
    }
    let quiet = root.child("Quiet").is_some_and(|quiet| quiet.trim() == "true");
    let mut keys = Vec::new();
    for object in root.children.iter().filter(|child| child.name == "Object") {
        keys.push(object.child("Key").filter(|key| !key.is_empty()).ok_or_else(malformed)?);
    }
    if keys.is_empty() || keys.len() > 1000 {
        return Err(malformed());
    }
    let bucket = state.bucket_of(call)?;
    let mut text = format!("<DeleteResult>{}", writing.element());
    for key in keys {
        bucket.objects.remove(key);
        if !quiet {
            text.push_str(&format!("<Deleted><Key>{}</Key></Deleted>", writing.name(key)));
        }
    }
    text.push_str("</DeleteResult>");
    Ok(Answer::xml(text))
}
