//! Weights as stored and as computed with: safetensors in, one image of `f32` tensors out.
//!
//! Engines see one layout whatever is stored: the *image*, a safetensors file of `f32` tensors
//! sorted by name, whose data begins at a multiple of 64 bytes. The ONNX graph's initialisers
//! point into it. A bundle of full precision stores the image itself; one of `int8_weights` stores
//! matrices as signed bytes with one scale a row (`w ~ scale * q`, `q` in `-127..=127`, symmetric)
//! and the image is widened from it when the bundle is opened.
//!
//! Format: <https://github.com/huggingface/safetensors>. What is refused here: other types than
//! `F32` and `I8`, a byte matrix without its scales, scales without their matrix's row count.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use thiserror::Error;

use super::files::zeroed;
use super::quantize::{quantize_row, widen_row};
use crate::spec::Precision;

/// Data of an image begins at a multiple of this, for the engines' vector loads.
const ALIGNMENT: usize = 64;
const SCALE: &str = ".scale";
/// More tensors than this are taken for a broken file.
const MAX_TENSORS: usize = 100_000;

/// Why weights were refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{tensor}: expected {expected}, found {found}")]
pub struct WeightsError {
    /// The tensor, or `header`.
    pub tensor: String,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl WeightsError {
    fn new(tensor: impl Into<String>, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { tensor: tensor.into(), expected: expected.into(), found: found.to_string() }
    }
}

/// One `f32` tensor's place in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First byte, counted from the beginning of the file.
    pub offset: usize,
    /// Number of bytes, four a number.
    pub bytes: usize,
    /// Shape, row-major.
    pub shape: Vec<usize>,
}

/// Where every tensor of an image lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout(BTreeMap<String, Span>);

impl Layout {
    /// The place of the tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Span> {
        self.0.get(name)
    }

    /// All tensors, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Span)> {
        self.0.iter().map(|(name, span)| (name.as_str(), span))
    }

    /// Number of parameters over all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.0.values().map(|span| span.bytes / 4).sum()
    }
}

/// Weights in both forms: the file to store, and the image to compute with.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    storage: Precision,
    file: Arc<[u8]>,
    image: Arc<[u8]>,
    layout: Layout,
}

impl PackedWeights {
    /// Brings a safetensors file of `f32` tensors into the stored form and lays out its image.
    /// With [`Precision::Int8Weights`] the image holds the rounded weights, those that will ship.
    ///
    /// # Errors
    /// [`WeightsError`] when the file is broken or holds other types than `f32`.
    pub fn pack(safetensors: &[u8], storage: Precision) -> Result<Self, WeightsError> {
        let (start, tensors) = parse(safetensors)?;
        let plain = tensors.iter().map(|(name, info)| f32_tensor(safetensors, start, name, info)).collect::<Result<Vec<_>, _>>()?;
        let file: Arc<[u8]> = match storage {
            Precision::Fp32 => assemble(&plain)?.into(),
            Precision::Int8Weights => assemble(&narrow(&plain))?.into(),
        };
        Self::open(file, storage)
    }

    /// Reads weights as they are stored.
    ///
    /// # Errors
    /// [`WeightsError`] when the file is broken or not of the stated precision.
    pub fn open(file: Arc<[u8]>, storage: Precision) -> Result<Self, WeightsError> {
        let (start, tensors) = parse(&file)?;
        let (image, layout) = match storage {
            Precision::Fp32 => (Arc::clone(&file), plain_layout(start, &tensors)?),
            Precision::Int8Weights => widen(&file, start, &tensors)?,
        };
        Ok(Self { storage, file, image, layout })
    }

    /// How [`Self::file`] is stored.
    #[must_use]
    pub fn storage(&self) -> Precision {
        self.storage
    }

    /// The stored file.
    #[must_use]
    pub fn file(&self) -> &Arc<[u8]> {
        &self.file
    }

    /// The `f32` image, a safetensors file.
    #[must_use]
    pub fn image(&self) -> &Arc<[u8]> {
        &self.image
    }

    /// Where the image's tensors lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The image and its layout, letting go of the stored file.
    pub(super) fn into_image(self) -> (Arc<[u8]>, Layout) {
        (self.image, self.layout)
    }
}

/// The file name that a graph gives for its weights: the stored file when it is the image itself,
/// a name that stands for the widened image in memory otherwise.
#[must_use]
pub fn weights_location(storage: Precision) -> &'static str {
    match storage {
        Precision::Fp32 => super::files::WEIGHTS,
        Precision::Int8Weights => "model.fp32.safetensors",
    }
}

type Tensors = BTreeMap<String, TensorInfo>;

/// Checks the header and returns where data begins, and the tensors by name.
fn parse(file: &[u8]) -> Result<(usize, Tensors), WeightsError> {
    let broken = |error: safetensors::SafeTensorError| WeightsError::new("header", "a safetensors file", error);
    let (header, metadata) = SafeTensors::read_metadata(file).map_err(broken)?;
    let start = header + 8;
    let tensors: Tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
    if tensors.is_empty() || tensors.len() > MAX_TENSORS {
        return Err(WeightsError::new("header", format!("between 1 and {MAX_TENSORS} tensors"), tensors.len()));
    }
    if metadata.data_len().checked_add(start) != Some(file.len()) {
        return Err(WeightsError::new("header", format!("{} bytes of data", metadata.data_len()), file.len().saturating_sub(start)));
    }
    Ok((start, tensors))
}

/// One tensor to be written.
struct Entry<'a> {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: std::borrow::Cow<'a, [u8]>,
}

fn bytes_of<'a>(file: &'a [u8], start: usize, info: &TensorInfo) -> &'a [u8] {
    &file[start + info.data_offsets.0..start + info.data_offsets.1]
}

fn f32_tensor<'a>(file: &'a [u8], start: usize, name: &str, info: &TensorInfo) -> Result<Entry<'a>, WeightsError> {
    if info.dtype != Dtype::F32 {
        return Err(WeightsError::new(name, "type F32", info.dtype));
    }
    let data = bytes_of(file, start, info);
    if floats(data).any(|value| !value.is_finite()) {
        return Err(WeightsError::new(name, "finite numbers", "NaN or infinity"));
    }
    Ok(Entry { name: name.to_owned(), dtype: Dtype::F32, shape: info.shape.clone(), data: data.into() })
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// Matrices as bytes and scales; everything else as it is.
fn narrow<'a>(plain: &'a [Entry<'a>]) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = plain.par_iter().flat_map_iter(narrow_tensor).collect();
    // Four-byte numbers first, so that every one of them lies aligned.
    entries.sort_by(|a, b| (a.dtype == Dtype::I8).cmp(&(b.dtype == Dtype::I8)).then_with(|| a.name.cmp(&b.name)));
    entries
}

fn narrow_tensor<'a>(entry: &'a Entry<'a>) -> Vec<Entry<'a>> {
    let copy = Entry { name: entry.name.clone(), dtype: entry.dtype, shape: entry.shape.clone(), data: (&*entry.data).into() };
    let [rows, width] = entry.shape[..] else { return vec![copy] };
    if rows == 0 || width == 0 {
        return vec![copy];
    }
    let mut bytes = vec![0; rows * width];
    let mut scales = Vec::with_capacity(rows * 4);
    for (row, out) in entry.data.chunks_exact(width * 4).zip(bytes.chunks_exact_mut(width)) {
        let row: Vec<f32> = floats(row).collect();
        scales.extend_from_slice(&quantize_row(&row, out).to_le_bytes());
    }
    let scale = Entry { name: format!("{}{SCALE}", entry.name), dtype: Dtype::F32, shape: vec![rows], data: scales.into() };
    vec![scale, Entry { name: entry.name.clone(), dtype: Dtype::I8, shape: entry.shape.clone(), data: bytes.into() }]
}

/// Header and data, tensor after tensor in the order given.
fn assemble(entries: &[Entry<'_>]) -> Result<Vec<u8>, WeightsError> {
    let mut end = 0;
    let mut infos = Vec::with_capacity(entries.len());
    for entry in entries {
        let begin = end;
        end += entry.data.len();
        infos.push((entry.name.clone(), TensorInfo { dtype: entry.dtype, shape: entry.shape.clone(), data_offsets: (begin, end) }));
    }
    let mut file = header(infos)?;
    file.reserve_exact(end);
    entries.iter().for_each(|entry| file.extend_from_slice(&entry.data));
    Ok(file)
}

/// A header whose data begins at a multiple of [`ALIGNMENT`]: spaces may follow its JSON.
fn header(infos: Vec<(String, TensorInfo)>) -> Result<Vec<u8>, WeightsError> {
    let members: serde_json::Map<String, serde_json::Value> = infos
        .into_iter()
        .map(|(name, info)| Ok((name, serde_json::to_value(info)?)))
        .collect::<Result<_, serde_json::Error>>()
        .map_err(|error| WeightsError::new("header", "names and shapes", error))?;
    let json = serde_json::Value::Object(members).to_string();
    let padded = (8 + json.len()).next_multiple_of(ALIGNMENT) - 8;
    let mut file = (padded as u64).to_le_bytes().to_vec();
    file.extend_from_slice(json.as_bytes());
    file.resize(8 + padded, b' ');
    Ok(file)
}

fn plain_layout(start: usize, tensors: &Tensors) -> Result<Layout, WeightsError> {
    let spans = tensors.iter().map(|(name, info)| {
        let (begin, end) = info.data_offsets;
        let offset = start + begin;
        if info.dtype != Dtype::F32 {
            return Err(WeightsError::new(name, "type F32", info.dtype));
        }
        if !offset.is_multiple_of(4) {
            return Err(WeightsError::new(name, "an offset that is a multiple of 4", offset));
        }
        Ok((name.clone(), Span { offset, bytes: end - begin, shape: info.shape.clone() }))
    });
    spans.collect::<Result<_, _>>().map(Layout)
}

/// Lays out the image of a file with byte matrices and fills it, tensors side by side.
fn widen(file: &[u8], start: usize, tensors: &Tensors) -> Result<(Arc<[u8]>, Layout), WeightsError> {
    let mut end = 0_usize;
    let mut infos = Vec::with_capacity(tensors.len());
    let mut sources = Vec::with_capacity(tensors.len());
    for (name, info) in tensors.iter().filter(|(name, _)| !is_scale(name, tensors)) {
        // Types are checked before anything is allocated for them.
        sources.push(source(file, start, tensors, name, info)?);
        let begin = end;
        let numbers = info.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let sum = numbers.and_then(|numbers| numbers.checked_mul(4)).and_then(|bytes| bytes.checked_add(begin));
        end = sum.ok_or_else(|| WeightsError::new(name, "a size that can be counted", format!("{:?}", info.shape)))?;
        infos.push((name.clone(), TensorInfo { dtype: Dtype::F32, shape: info.shape.clone(), data_offsets: (begin, end) }));
    }
    let places: Tensors = infos.iter().cloned().collect();
    let sizes: Vec<usize> = infos.iter().map(|(_, info)| info.data_offsets.1 - info.data_offsets.0).collect();
    let head = header(infos)?;
    let mut image = zeroed(head.len() + end);
    let (front, mut rest) = Arc::get_mut(&mut image).expect("a fresh value has one owner; this is a bug").split_at_mut(head.len());
    front.copy_from_slice(&head);
    let mut jobs = Vec::with_capacity(sources.len());
    for (source, bytes) in sources.into_iter().zip(sizes) {
        let (out, tail) = std::mem::take(&mut rest).split_at_mut(bytes);
        rest = tail;
        jobs.push((source, out));
    }
    jobs.into_par_iter().for_each(|(source, out)| source.fill(out));
    Ok((image, plain_layout(head.len(), &places)?))
}

/// Whether `name` is the scales of a byte matrix.
fn is_scale(name: &str, tensors: &Tensors) -> bool {
    name.strip_suffix(SCALE).and_then(|matrix| tensors.get(matrix)).is_some_and(|info| info.dtype == Dtype::I8)
}

/// Where a tensor of the image comes from.
enum Source<'a> {
    Plain(&'a [u8]),
    Rows { bytes: &'a [u8], scales: &'a [u8], width: usize },
}

impl Source<'_> {
    fn fill(&self, out: &mut [u8]) {
        match *self {
            Self::Plain(bytes) => out.copy_from_slice(bytes),
            Self::Rows { bytes, scales, width } => {
                let rows = bytes.par_chunks_exact(width).zip(out.par_chunks_exact_mut(width * 4)).zip(scales.par_chunks_exact(4));
                rows.with_min_len(256).for_each(|((bytes, out), scale)| {
                    widen_row(bytes, f32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]]), out);
                });
            }
        }
    }
}

fn source<'a>(file: &'a [u8], start: usize, tensors: &Tensors, name: &str, info: &TensorInfo) -> Result<Source<'a>, WeightsError> {
    let bytes = bytes_of(file, start, info);
    match info.dtype {
        Dtype::F32 => Ok(Source::Plain(bytes)),
        Dtype::I8 => {
            let [rows, width] = info.shape[..] else {
                return Err(WeightsError::new(name, "two axes", format!("{:?}", info.shape)));
            };
            let scale = format!("{name}{SCALE}");
            let scales = tensors.get(&scale).ok_or_else(|| WeightsError::new(&scale, "the scales of a byte matrix", "nothing"))?;
            if scales.dtype != Dtype::F32 || scales.shape != [rows] || width == 0 {
                return Err(WeightsError::new(&scale, format!("[{rows}] of F32"), format!("{:?} of {}", scales.shape, scales.dtype)));
            }
            let scales = bytes_of(file, start, scales);
            match floats(scales).find(|value| !(value.is_finite() && *value >= 0.0)) {
                Some(value) => Err(WeightsError::new(&scale, "finite numbers, none negative", value)),
                None => Ok(Source::Rows { bytes, scales, width }),
            }
        }
        other => Err(WeightsError::new(name, "type F32 or I8", other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Entry<'static> {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Entry { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), data: data.into() }
    }

    fn packed(storage: Precision) -> PackedWeights {
        let values: Vec<f32> = (0..12_u8).map(|i| f32::from(i) - 4.5).collect();
        let file = assemble(&[tensor("a.bias", &[3], &values[..3]), tensor("a.weight", &[3, 4], &values)]).expect("two tensors");
        PackedWeights::pack(&file, storage).expect("two plain tensors")
    }

    #[test]
    fn an_image_is_a_safetensors_file_whose_data_lies_aligned() {
        for storage in [Precision::Fp32, Precision::Int8Weights] {
            let packed = packed(storage);
            let file = SafeTensors::deserialize(packed.image()).expect("an image is a safetensors file");
            for (name, span) in packed.layout().iter() {
                let tensor = file.tensor(name).expect("listed tensors are there");
                assert_eq!((tensor.shape(), tensor.data()), (&span.shape[..], &packed.image()[span.offset..span.offset + span.bytes]));
            }
            assert_eq!(packed.layout().get("a.bias").map(|span| span.offset % ALIGNMENT), Some(0));
            assert_eq!(packed.layout().parameters(), 15);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for storage in [Precision::Fp32, Precision::Int8Weights] {
                prop_assert!(PackedWeights::open(bytes.clone().into(), storage).is_err());
            }
        }

        #[test]
        fn no_change_of_a_file_panics(place in 0..300_usize, byte: u8, cut in 0..400_usize) {
            for storage in [Precision::Fp32, Precision::Int8Weights] {
                let mut bytes = packed(storage).file().to_vec();
                let place = place % bytes.len();
                bytes[place] = byte;
                bytes.truncate(cut.max(1));
                for other in [Precision::Fp32, Precision::Int8Weights] {
                    let _ = PackedWeights::open(bytes.clone().into(), other);
                }
            }
        }
    }
}
