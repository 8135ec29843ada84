//! Where an ONNX graph takes its weights from, read without an ONNX library.
//!
//! A graph is data from outside: its initialisers may name any file on the machine. This module
//! walks the protobuf's wire format and accepts a graph only when every external initialiser lies
//! in the bundle's own image, at the place and of the shape of the tensor it is named after.
//! Graphs inside nodes, functions and sparse tensors are refused: no export writes them.
//!
//! Wire format: <https://protobuf.dev/programming-guides/encoding>; field numbers: `onnx.proto`.

use super::Layout;

/// Why a graph was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GraphError {
    pub(super) member: String,
    pub(super) expected: String,
    pub(super) found: String,
}

fn refuse<T>(member: impl Into<String>, expected: impl Into<String>, found: impl ToString) -> Result<T, GraphError> {
    Err(GraphError { member: member.into(), expected: expected.into(), found: found.to_string() })
}

/// Checks the `ModelProto` in `bytes`.
pub(super) fn check(bytes: &[u8], layout: &Layout, location: &str) -> Result<(), GraphError> {
    let mut graphs = 0;
    for field in Fields(bytes) {
        match field? {
            (7, Value::Bytes(graph)) => {
                graphs += 1;
                check_graph(graph, layout, location)?;
            }
            (20 | 25, _) => return refuse("model", "a plain graph", "functions or training graphs"),
            _ => {}
        }
    }
    if graphs == 1 { Ok(()) } else { refuse("model", "one graph", graphs) }
}

fn check_graph(bytes: &[u8], layout: &Layout, location: &str) -> Result<(), GraphError> {
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(node)) => check_node(node)?,
            (5, Value::Bytes(tensor)) => check_initializer(&Tensor::read(tensor)?, layout, location)?,
            (15, _) => return refuse("graph", "dense initialisers", "a sparse one"),
            _ => {}
        }
    }
    Ok(())
}

/// A node may carry numbers and small tensors; it may not carry graphs or name files.
fn check_node(bytes: &[u8]) -> Result<(), GraphError> {
    for field in Fields(bytes) {
        let (5, Value::Bytes(attribute)) = field? else { continue };
        for field in Fields(attribute) {
            match field? {
                (6 | 11 | 22 | 23, _) => return refuse("node", "numbers and tensors as attributes", "a graph or sparse tensor"),
                (5 | 10, Value::Bytes(tensor)) => {
                    let tensor = Tensor::read(tensor)?;
                    if tensor.external {
                        return refuse(tensor.name, "an attribute with its own data", "external data");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_initializer(tensor: &Tensor<'_>, layout: &Layout, location: &str) -> Result<(), GraphError> {
    if !tensor.external {
        return Ok(());
    }
    if tensor.location != Some(location) {
        return refuse(tensor.name, format!("weights in {location:?}"), format!("{:?}", tensor.location.unwrap_or("")));
    }
    let Some(span) = layout.get(tensor.name) else {
        return refuse(tensor.name, "a tensor of the weights file", "no such tensor");
    };
    let expected = (Some(span.offset as u64), Some(span.bytes as u64), 1, span.shape.iter().map(|&size| size as u64).collect());
    let found: (_, _, _, Vec<u64>) = (tensor.offset, tensor.length, tensor.data_type, tensor.dims.clone());
    if found == expected { Ok(()) } else { refuse(tensor.name, format!("offset, length, type, shape {expected:?}"), format!("{found:?}")) }
}

/// The members of a `TensorProto` that say where its data is.
#[derive(Default)]
struct Tensor<'a> {
    name: &'a str,
    dims: Vec<u64>,
    data_type: u64,
    external: bool,
    location: Option<&'a str>,
    offset: Option<u64>,
    length: Option<u64>,
}

impl<'a> Tensor<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, GraphError> {
        let mut tensor = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, Value::Varint(size)) => tensor.dims.push(size),
                (1, Value::Bytes(packed)) => {
                    let mut rest = packed;
                    while !rest.is_empty() {
                        tensor.dims.push(varint(&mut rest)?);
                    }
                }
                (2, Value::Varint(kind)) => tensor.data_type = kind,
                (8, Value::Bytes(name)) => tensor.name = text(name)?,
                (13, Value::Bytes(entry)) => {
                    tensor.external = true;
                    tensor.external_entry(entry)?;
                }
                (14, Value::Varint(kind)) => tensor.external |= kind != 0,
                _ => {}
            }
        }
        Ok(tensor)
    }

    fn external_entry(&mut self, bytes: &'a [u8]) -> Result<(), GraphError> {
        let (mut key, mut value) = ("", "");
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(bytes)) => key = text(bytes)?,
                (2, Value::Bytes(bytes)) => value = text(bytes)?,
                _ => {}
            }
        }
        let number = || value.parse().map(Some).or_else(|_| refuse(key, "a number", value));
        match key {
            "location" => self.location = Some(value),
            "offset" => self.offset = number()?,
            "length" => self.length = number()?,
            _ => return refuse(key, "location, offset or length", value),
        }
        Ok(())
    }
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of one message: number and value, in order, ending at the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), GraphError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Value<'a>), GraphError> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, usize::try_from(length).unwrap_or(usize::MAX))?)
        }
        5 => take(rest, 4).map(|_| Value::Fixed)?,
        kind => return refuse("model", "a protobuf field", format!("wire type {kind}")),
    };
    Ok((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], GraphError> {
    let Some((taken, tail)) = rest.split_at_checked(length) else {
        return refuse("model", format!("{length} more bytes"), rest.len());
    };
    *rest = tail;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, GraphError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    refuse("model", "a number of at most 10 bytes", "a longer one")
}

fn text(bytes: &[u8]) -> Result<&str, GraphError> {
    std::str::from_utf8(bytes).or_else(|error| refuse("model", "UTF-8", error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_plain_graph_passes() {
        let layout = Layout::default();
        assert_eq!(check(&[0x3a, 0], &layout, "w"), Ok(()));
        let wrong: [&[u8]; 7] = [&[], &[0x3a, 0, 0x3a, 0], &[0x3a, 0, 0xca, 0x01, 0], &[0x3a, 5], &[0x3a], &[0x3b, 0], &[0x3a, 2, 0x7a, 0]];
        for (case, bytes) in wrong.iter().enumerate() {
            assert!(check(bytes, &layout, "w").is_err(), "case {case} passed");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), inner in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = check(&bytes, &Layout::default(), "w");
            for field in [0x0a, 0x2a] {
                let mut graph = vec![field, u8::try_from(inner.len()).expect("at most 100")];
                graph.extend_from_slice(&inner);
                let mut model = vec![0x3a, u8::try_from(graph.len()).expect("at most 102")];
                model.extend_from_slice(&graph);
                let _ = check(&model, &Layout::default(), "w");
            }
        }
    }
}
