//! What bitsandbytes packs and unpacks (`scripts/fixtures/quantization.py`), bit for bit.

use safetensors::{Dtype, SafeTensors};

use super::nf4::{Nf4, Scales};
use super::{Numbers, Packed, Storage};

const FIXTURE: &[u8] = include_bytes!("../../../tests/it/fixtures/quantization.safetensors");

struct Fixture(SafeTensors<'static>);

impl Fixture {
    fn read() -> Self {
        let (_, metadata) = SafeTensors::read_metadata(FIXTURE).expect("the fixture is a safetensors file");
        let made_by = metadata.metadata().as_ref().map(|metadata| metadata["fixture"].contains("scripts/fixtures/quantization.py"));
        assert_eq!(made_by, Some(true));
        Self(SafeTensors::deserialize(FIXTURE).expect("the fixture is a safetensors file"))
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.0.tensor(name).unwrap_or_else(|_| panic!("the fixture has no {name}")).data()
    }

    fn singles(&self, name: &str) -> Vec<f32> {
        assert_eq!(self.0.tensor(name).map(|view| view.dtype()).ok(), Some(Dtype::F32), "{name}");
        self.bytes(name).as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// A matrix of the fixture, packed.
    fn packed(&self, matrix: &str, storage: Storage) -> Packed {
        let name = format!("{matrix}.weight");
        let (values, view) = (self.singles(&name), self.0.tensor(&name).expect("it was just read"));
        let shape = [view.shape()[0], view.shape()[1]];
        let read = |start: usize, out: &mut [f32]| {
            out.copy_from_slice(&values[start..start + out.len()]);
            Ok(())
        };
        Packed::new(storage, shape, read).expect("reading cannot fail")
    }
}

const MATRICES: [&str; 3] = ["wide", "uneven", "odd"];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The first numbers of the matrix, from its rows.
fn check_widened(what: &str, packed: &Packed, expected: &[f32]) {
    let mut all = vec![0.0; packed.rows() * packed.columns()];
    packed.widen(0, &mut all);
    assert_eq!(bits(&all[..expected.len()]), bits(expected), "{what}");
    let mut row = vec![0.0; packed.columns()];
    for index in 0..packed.rows() {
        packed.widen(index, &mut row);
        assert_eq!(row, all[index * row.len()..][..row.len()], "{what}, row {index}");
    }
}

fn four_bits(packed: &Packed) -> &Nf4 {
    let Numbers::Nf4(values) = &packed.numbers else { panic!("packed as NF4") };
    values
}

#[test]
fn four_bits_are_those_of_bitsandbytes() {
    let fixture = Fixture::read();
    assert_eq!(bits(&super::codes::DYNAMIC[..]), bits(&fixture.singles("dynamic")));
    for matrix in MATRICES {
        let packed = fixture.packed(matrix, Storage::Nf4 { double: false });
        let values = four_bits(&packed);
        assert_eq!(values.bytes, fixture.bytes(&format!("{matrix}.plain.bytes")), "{matrix}");
        let Scales::Plain(scales) = &values.scales else { panic!("plain scales") };
        assert_eq!(bits(scales), bits(&fixture.singles(&format!("{matrix}.plain.scales"))), "{matrix}");
        check_widened(matrix, &packed, &fixture.singles(&format!("{matrix}.plain.widened")));
    }
}

fn check_double(fixture: &Fixture, name: &str, scales: &Scales) {
    let Scales::Double(double) = scales else { panic!("quantised scales") };
    assert_eq!(bits(&[double.offset]), bits(&fixture.singles(&format!("{name}.offset"))), "{name}");
    assert_eq!(bits(&double.largest), bits(&fixture.singles(&format!("{name}.largest"))), "{name}");
    assert_eq!(double.codes, fixture.bytes(&format!("{name}.codes")), "{name}");
}

#[test]
fn quantised_scales_are_those_of_bitsandbytes() {
    let fixture = Fixture::read();
    let storage = Storage::Nf4 { double: true };
    let packed = fixture.packed("wide", storage);
    check_double(&fixture, "wide.double", &four_bits(&packed).scales);
    check_widened("wide", &packed, &fixture.singles("wide.double.widened"));

    let scales = fixture.singles("many.scales");
    let read = |start: usize, out: &mut [f32]| {
        out.fill(0.0);
        out.iter_mut().step_by(64).zip(&scales[start / 64..]).for_each(|(out, scale)| *out = *scale);
        Ok(())
    };
    let many = Packed::new(storage, [scales.len(), 64], read).expect("reading cannot fail");
    check_double(&fixture, "many", &four_bits(&many).scales);

    // Where the mean of the scales is not exact, torch's may differ in its last place, and all with it.
    for matrix in ["uneven", "odd"] {
        let packed = fixture.packed(matrix, storage);
        let expected = fixture.singles(&format!("{matrix}.double.widened"));
        let mut found = vec![0.0; expected.len()];
        packed.widen(0, &mut found);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{matrix}: {found}, expected {expected}");
        }
    }
}

#[test]
fn eight_bits_are_those_of_bitsandbytes() {
    let fixture = Fixture::read();
    for matrix in MATRICES {
        let packed = fixture.packed(matrix, Storage::Int8);
        let Numbers::Int8(values) = &packed.numbers else { panic!("packed as integers") };
        let bytes: Vec<u8> = values.bytes.iter().map(|byte| byte.cast_unsigned()).collect();
        assert_eq!(bytes, fixture.bytes(&format!("{matrix}.int8.bytes")), "{matrix}");
        assert_eq!(bits(&values.scales), bits(&fixture.singles(&format!("{matrix}.int8.scales"))), "{matrix}");
        check_widened(matrix, &packed, &fixture.singles(&format!("{matrix}.int8.widened")));
    }
}

#[test]
fn bfloat16_takes_the_nearest_number_and_of_two_the_even_one() {
    let cases = [(1.0, 1.0), (1.003_906_3, 1.0), (1.011_718_8, 1.015_625), (1.004_882_8, 1.007_812_5), (-0.1, -0.100_097_656), (0.0, 0.0)];
    for (value, expected) in cases {
        let read = |_: usize, out: &mut [f32]| {
            out.fill(value);
            Ok(())
        };
        let packed = Packed::new(Storage::Bf16, [1, 1], read).expect("reading cannot fail");
        let mut found = [0.0];
        packed.widen(0, &mut found);
        assert_eq!(found, [expected], "{value}");
        assert_eq!(packed.memory(), 2);
    }
}

/// The matrix in candle's operations, as a device holds it.
#[test]
fn a_device_widens_to_the_same_numbers() {
    let fixture = Fixture::read();
    let mut seen = 0;
    for matrix in MATRICES {
        for storage in [Storage::Bf16, Storage::Int8, Storage::Nf4 { double: false }, Storage::Nf4 { double: true }] {
            let packed = fixture.packed(matrix, storage);
            let mut expected = vec![0.0; packed.rows() * packed.columns()];
            packed.widen(0, &mut expected);
            let held = super::OnDevice::new(&packed, &candle_core::Device::Cpu).expect("the processor is a device");
            let tensor = held.widen(candle_core::DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>());
            let found = tensor.expect("the processor is a device");
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 2e-7 * expected.abs(), "{matrix} as {storage:?}: {found}, expected {expected}");
            }
            assert_eq!(found.len(), expected.len());
            seen += 1;
        }
    }
    assert_eq!(seen, 12);
}
