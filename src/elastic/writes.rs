//! Whether something was written to an index between two looks at it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;
use super::name;
use super::request::Request;
use crate::error::Result;

/// How far the writes to an index have come. Two that are equal say that nothing was written in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(BTreeMap<String, u64>);

/// Reads how far the writes to each primary have come; nothing where the index does not tell, for example because it is closed.
///
/// From 6.0 on it is the highest sequence number, before that the operations that the shard counted. Merges and refreshes change
/// neither; they do change the number of documents, which is all that is left where both are missing.
pub async fn mark(client: &Client, index: &str) -> Result<Option<Mark>> {
    name::check("index", index)?;
    let request = Request::get(format!("look what was written to `{index}`"), &[index, "_stats"]);
    let answer = client.call(request.query("level", "shards")).await?;
    Ok(read(&answer, index))
}

fn read(answer: &Value, index: &str) -> Option<Mark> {
    let shards = answer["indices"][index]["shards"].as_object()?;
    let mut marks = BTreeMap::new();
    for (number, copies) in shards {
        let primary = copies.as_array()?.iter().find(|copy| copy["routing"]["primary"] == true)?;
        let told = |at: &str| primary.pointer(at).and_then(Value::as_i64);
        let operations = || Some(told("/indexing/index_total")? + told("/indexing/delete_total")?);
        let number_of = told("/seq_no/max_seq_no").or_else(operations).or_else(|| told("/docs/count"))?;
        // -1 is the highest sequence number of an index without any.
        marks.insert(number.clone(), u64::try_from(number_of + 1).ok()?);
    }
    (!marks.is_empty()).then_some(Mark(marks))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sequence_numbers_come_before_operations_and_these_before_documents() {
        let of = |copy: Value| {
            let mut copy = copy;
            copy["routing"] = json!({ "primary": true });
            read(&json!({ "indices": { "m": { "shards": { "0": [copy] } } } }), "m")
        };
        let counted = json!({ "index_total": 7, "delete_total": 1 });
        let mark = |count: u64| Some(Mark([("0".to_owned(), count)].into()));
        assert_eq!(of(json!({ "seq_no": { "max_seq_no": -1 }, "indexing": counted, "docs": { "count": 3 } })), mark(0));
        assert_eq!(of(json!({ "indexing": counted, "docs": { "count": 3 } })), mark(9));
        assert_eq!(of(json!({ "docs": { "count": 3 } })), mark(4));
        assert_eq!(of(json!({})), None);
        assert_eq!(read(&json!({ "indices": {} }), "m"), None);
    }
}
