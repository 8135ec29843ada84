//! A packed matrix in a device's memory, and the product with it.
//!
//! The matrix is widened there for every product, forward and backward, and dropped again: one layer
//! at a time, never the network. On a graphics card products are computed in bfloat16 and summed in
//! single precision.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor};

use super::codes::{DYNAMIC, PAIRS};
use super::int8::STEP;
use super::nf4::{BLOCK, NESTED, Scales};
use super::{Numbers, Packed};

/// A frozen matrix, `[rows, columns]`, on a device.
#[derive(Debug)]
pub(crate) struct OnDevice {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    numbers: Held,
}

#[derive(Debug)]
enum Held {
    /// `[rows, columns]`.
    Bf16(Tensor),
    /// Bytes of two numbers, and the blocks' scales.
    Nf4 { bytes: Tensor, scales: HeldScales },
    /// Integers plus 128, `[rows, columns]`, and the rows' scales over 127, `[rows, 1]`.
    Int8 { bytes: Tensor, scales: Tensor },
}

#[derive(Debug)]
enum HeldScales {
    Plain(Tensor),
    /// Codes, padded to whole groups, and the groups' scales, `[groups, 1]`.
    Double {
        codes: Tensor,
        largest: Tensor,
        offset: f64,
    },
}

impl OnDevice {
    /// Copies a packed matrix there.
    pub(crate) fn new(packed: &Packed, device: &Device) -> Result<Self> {
        let (rows, columns) = (packed.rows(), packed.columns());
        let numbers = match &packed.numbers {
            Numbers::Bf16(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Held::Bf16(Tensor::from_raw_buffer(&bytes, DType::BF16, &[rows, columns], device)?)
            }
            Numbers::Nf4(values) => {
                let scales = match &values.scales {
                    Scales::Plain(scales) => HeldScales::Plain(Tensor::from_slice(scales, scales.len(), device)?),
                    Scales::Double(double) => {
                        let mut codes = double.codes.clone();
                        codes.resize(double.largest.len() * NESTED, 0);
                        let codes = Tensor::from_vec(codes, double.largest.len() * NESTED, device)?;
                        let largest = Tensor::from_slice(&double.largest, (double.largest.len(), 1), device)?;
                        HeldScales::Double { codes, largest, offset: f64::from(double.offset) }
                    }
                };
                Held::Nf4 { bytes: Tensor::from_slice(&values.bytes, values.bytes.len(), device)?, scales }
            }
            Numbers::Int8(values) => {
                let bytes: Vec<u8> = values.bytes.iter().map(|&byte| byte.cast_unsigned() ^ 0x80).collect();
                let scales = Tensor::from_slice(&values.scales, (rows, 1), device)?;
                Held::Int8 { bytes: Tensor::from_vec(bytes, (rows, columns), device)?, scales }
            }
        };
        Ok(Self { rows, columns, numbers })
    }

    pub(crate) fn device(&self) -> &Device {
        match &self.numbers {
            Held::Bf16(tensor) | Held::Nf4 { bytes: tensor, .. } | Held::Int8 { bytes: tensor, .. } => tensor.device(),
        }
    }

    /// The matrix, `[rows, columns]`.
    pub(crate) fn widen(&self, dtype: DType) -> Result<Tensor> {
        let shape = (self.rows, self.columns);
        match &self.numbers {
            Held::Bf16(values) => values.to_dtype(dtype),
            Held::Nf4 { bytes, scales } => {
                let codes = Tensor::from_slice(PAIRS.as_flattened(), (256, 2), bytes.device())?;
                // As an index a byte of 255 would mean none.
                let values = codes.index_select(&bytes.to_dtype(DType::U32)?, 0)?.flatten_all()?;
                let len = self.rows * self.columns;
                let blocks = len.div_ceil(BLOCK);
                let values = values.narrow(0, 0, len)?.pad_with_zeros(0, 0, blocks * BLOCK - len)?.reshape((blocks, BLOCK))?;
                let values = values.broadcast_mul(&scales.widen(blocks)?.reshape((blocks, 1))?)?;
                values.flatten_all()?.narrow(0, 0, len)?.reshape(shape)?.to_dtype(dtype)
            }
            Held::Int8 { bytes, scales } => {
                let values = bytes.to_dtype(DType::F32)?.affine(1.0, -128.0)?;
                (values.broadcast_mul(scales)? * f64::from(STEP))?.to_dtype(dtype)
            }
        }
    }

    /// Some rows, `[ids, columns]`, in single precision.
    pub(crate) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.numbers {
            Held::Bf16(values) => values.index_select(ids, 0)?.to_dtype(DType::F32),
            Held::Nf4 { .. } | Held::Int8 { .. } => self.widen(DType::F32)?.index_select(ids, 0),
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        match &self.numbers {
            Held::Bf16(values) => bytes(values),
            Held::Nf4 { bytes: values, scales: HeldScales::Plain(scales) } | Held::Int8 { bytes: values, scales } => {
                bytes(values) + bytes(scales)
            }
            Held::Nf4 { bytes: values, scales: HeldScales::Double { codes, largest, .. } } => bytes(values) + bytes(codes) + bytes(largest),
        }
    }
}

impl HeldScales {
    /// The scale of each of so many blocks.
    fn widen(&self, blocks: usize) -> Result<Tensor> {
        match self {
            Self::Plain(scales) => Ok(scales.clone()),
            Self::Double { codes, largest, offset } => {
                let table = Tensor::from_slice(&DYNAMIC[..], 256, codes.device())?;
                let values = table.index_select(&codes.to_dtype(DType::U32)?, 0)?.reshape(((), NESTED))?;
                values.broadcast_mul(largest)?.affine(1.0, *offset)?.flatten_all()?.narrow(0, 0, blocks)
            }
        }
    }
}

/// `x W^T` for a frozen `W`, which gets no gradient.
pub(crate) fn product(x: &Tensor, weight: &Arc<OnDevice>) -> Result<Tensor> {
    // Half the bytes, and the units that are fast at it.
    let dtype = if weight.device().is_cuda() { DType::BF16 } else { DType::F32 };
    x.to_dtype(dtype)?.contiguous()?.apply_op1(Product { weight: weight.clone(), dtype })?.to_dtype(DType::F32)
}

struct Product {
    weight: Arc<OnDevice>,
    dtype: DType,
}

impl Product {
    /// The storage of `x W^T`, and its shape.
    fn of<S: BackendStorage>(&self, x: &S, layout: &Layout, held: impl Fn(&Storage) -> Option<&S>) -> Result<(S, Shape)> {
        let weight = self.weight.widen(self.dtype)?.t()?;
        let (rows, inputs) = layout.shape().dims2()?;
        let (storage, weight_layout) = weight.storage_and_layout();
        let Some(weight) = held(&storage) else { candle_core::bail!("{}: the weight lies on another device", self.name()) };
        let sizes = (1, rows, self.weight.rows, inputs);
        Ok((x.matmul(weight, sizes, layout, weight_layout)?, Shape::from((rows, self.weight.rows))))
    }
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "product with a frozen weight"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.of(x, layout, |storage| if let Storage::Cpu(storage) = storage { Some(storage) } else { None })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.of(x, layout, |storage| if let Storage::Cuda(storage) = storage { Some(storage) } else { None })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.contiguous()?.matmul(&self.weight.widen(self.dtype)?).map(Some)
    }
}
