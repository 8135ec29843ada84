//! A `pytorch_model.bin` taken as data: the tensors of the archive that `torch.save` writes, as a
//! safetensors file.
//!
//! A pickle is a small program, and Python would run it. Here candle's reader takes apart the few
//! instructions that a dictionary of tensors is made of: nothing is imported, called or executed,
//! and what is no tensor is left out. Numbers are taken from where they lie in the archive, within
//! its bounds. Refused: the format before PyTorch 1.6, which is no archive; compressed or
//! big-endian archives.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use candle_core::DType;
use candle_core::pickle::{Object, Stack, TensorInfo};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use zip::{CompressionMethod, ZipArchive};

use super::NnError;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The tensors of a `pytorch_model.bin`, under its own names, as a safetensors file.
///
/// # Errors
/// [`NnError::Pickle`] for bytes that are no archive of PyTorch 1.6 or later with a dictionary of
/// tensors, naming the tensor at fault.
pub fn pickle_to_safetensors(bytes: &[u8]) -> Result<Vec<u8>, NnError> {
    // candle's reader takes arguments that it has not counted; a hostile file must still be an error.
    catch_unwind(AssertUnwindSafe(|| convert(bytes))).unwrap_or_else(|_| Err(refused("the reader panicked on its pickle")))
}

fn refused(reason: impl ToString) -> NnError {
    NnError::Pickle { reason: reason.to_string() }
}

fn convert(bytes: &[u8]) -> Result<Vec<u8>, NnError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refused(format!("expected a zip archive: {error}")))?;
    let folder = folder(&archive)?;
    if entry(&mut archive, bytes, &format!("{folder}/byteorder")).is_ok_and(|order| order != b"little") {
        return Err(refused("expected little-endian numbers"));
    }
    let mut tensors = BTreeMap::new();
    for (name, value) in state(entry(&mut archive, bytes, &format!("{folder}/data.pkl"))?)? {
        let Object::Unicode(key) = &name else { continue };
        let wrong = |reason: String| refused(format!("tensor {key}: {reason}"));
        let info = value.into_tensor_info(name.clone(), Path::new(&format!("{folder}/data"))).map_err(|error| wrong(error.to_string()))?;
        let Some(info) = info else { continue };
        let data = numbers(&info, entry(&mut archive, bytes, &info.path)?).map_err(wrong)?;
        tensors.insert(key.clone(), (dtype(info.dtype).map_err(wrong)?, info.layout.dims().to_vec(), data));
    }
    if tensors.is_empty() {
        return Err(refused("expected a dictionary of tensors, found none"));
    }
    let views = tensors.iter().map(|(name, (dtype, shape, data))| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>().map_err(refused)?;
    safetensors::serialize(views, None).map_err(refused)
}

/// The archive's one folder, which has the name that the file was saved under.
fn folder(archive: &Archive<'_>) -> Result<String, NnError> {
    let pickles = archive.file_names().filter_map(|name| Some(name.ok()?.strip_suffix("/data.pkl")?.to_owned()));
    let pickles: Vec<String> = pickles.collect();
    match &pickles[..] {
        [folder] => Ok(folder.clone()),
        _ => Err(refused(format!("expected one data.pkl in the archive, found {}", pickles.len()))),
    }
}

/// The bytes of one file of the archive, where they lie.
fn entry<'a>(archive: &mut Archive<'a>, bytes: &'a [u8], name: &str) -> Result<&'a [u8], NnError> {
    let wrong = |reason: String| refused(format!("{name}: {reason}"));
    let file = archive.by_name(name).map_err(|error| wrong(error.to_string()))?;
    if file.compression() != CompressionMethod::Stored || file.encrypted() {
        return Err(wrong("expected a file that is neither compressed nor encrypted".to_owned()));
    }
    let place = file.data_start().and_then(|start| Some((usize::try_from(start).ok()?, usize::try_from(file.size()).ok()?)));
    let found = place.and_then(|(start, size)| bytes.get(start..start.checked_add(size)?));
    found.ok_or_else(|| wrong("it lies outside the archive".to_owned()))
}

/// The dictionary that the pickle builds.
fn state(mut pickle: &[u8]) -> Result<Vec<(Object, Object)>, NnError> {
    let mut stack = Stack::empty();
    stack
        .read_loop(&mut pickle)
        .and_then(|()| stack.finalize())
        .map_err(|error| refused(format!("data.pkl: {error}")))?
        .dict()
        .map_err(|_| refused("data.pkl: expected a dictionary of tensors, found something else"))
}

fn dtype(found: DType) -> Result<Dtype, String> {
    match found {
        DType::F32 => Ok(Dtype::F32),
        DType::F16 => Ok(Dtype::F16),
        DType::BF16 => Ok(Dtype::BF16),
        DType::F64 => Ok(Dtype::F64),
        DType::I64 => Ok(Dtype::I64),
        DType::U8 => Ok(Dtype::U8),
        other => Err(format!("stored as {other:?}, which is not read")),
    }
}

/// A tensor's numbers in row-major order, out of the storage it is a view of.
fn numbers<'a>(info: &TensorInfo, storage: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
    let (dims, strides, size) = (info.layout.dims(), info.layout.stride(), info.dtype.size_in_bytes());
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
    let reach =
        dims.iter().zip(strides).try_fold(1_usize, |reach, (&dim, &stride)| reach.checked_add(dim.saturating_sub(1).checked_mul(stride)?));
    // candle gives the start in bytes.
    let start = info.layout.start_offset();
    let range = reach.and_then(|reach| Some(start..reach.checked_mul(size)?.checked_add(start)?));
    let (Some(count), Some(view)) = (count, range.and_then(|range| storage.get(range))) else {
        return Err(format!("shape {dims:?} does not lie within its {} bytes", storage.len()));
    };
    if info.layout.is_contiguous() {
        return Ok(Cow::Borrowed(&view[..count * size]));
    }
    if count > storage.len() {
        return Err(format!("shape {dims:?} repeats its {} bytes", storage.len()));
    }
    let place = |index: usize| {
        let digits = dims.iter().zip(strides).rev();
        digits.fold((index, 0), |(rest, place), (&dim, &stride)| (rest / dim, place + rest % dim * stride)).1 * size
    };
    Ok((0..count).flat_map(|index| view[place(index)..][..size].iter().copied()).collect::<Vec<u8>>().into())
}
