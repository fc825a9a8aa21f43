//! Tests with files in `NumPy`'s format, built byte by byte from its specification.

use std::io::Write;
use std::time::Duration;

use half::f16;

use super::array::decode;
use super::*;
use crate::engine::{Dim, ElementType, Signature, Tensor, TensorData, TensorSpec};

/// An `.npy` file of version 1.0.
fn npy(dtype: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let flag = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': {flag}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = zip::ZipWriter::new(file.reopen().unwrap());
    for (name, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
    file
}

fn le<const N: usize>(values: &[[u8; N]]) -> Vec<u8> {
    values.concat()
}

#[test]
fn every_dtype_is_read() {
    for (dtype, data, want) in [
        ("|b1", vec![1, 0], TensorData::Bool(vec![true, false])),
        ("|i1", vec![255, 1], TensorData::I8(vec![-1, 1])),
        ("<i2", vec![254, 255, 1, 0], TensorData::I16(vec![-2, 1])),
        (">i4", vec![0, 0, 1, 0, 0, 0, 0, 2], TensorData::I32(vec![256, 2])),
        ("<i8", le(&[5i64.to_le_bytes(), (-5i64).to_le_bytes()]), TensorData::I64(vec![5, -5])),
        ("|u1", vec![255, 1], TensorData::U8(vec![255, 1])),
        ("<u2", vec![255, 255, 1, 0], TensorData::U16(vec![65_535, 1])),
        (
            "<u4",
            le(&[7u32.to_le_bytes(), u32::MAX.to_le_bytes()]),
            TensorData::U32(vec![7, u32::MAX]),
        ),
        (
            "<u8",
            le(&[7u64.to_le_bytes(), u64::MAX.to_le_bytes()]),
            TensorData::U64(vec![7, u64::MAX]),
        ),
        (
            "<f2",
            vec![0, 0x38, 0, 0xbc],
            TensorData::F16(vec![f16::from_f32(0.5), f16::from_f32(-1.0)]),
        ),
        ("<f4", le(&[0.5f32.to_le_bytes(), 2f32.to_le_bytes()]), TensorData::F32(vec![0.5, 2.0])),
        ("<f8", le(&[0.1f64.to_le_bytes(), 2f64.to_le_bytes()]), TensorData::F64(vec![0.1, 2.0])),
        ("|S3", b"ab\0xyz".to_vec(), TensorData::String(vec!["ab".into(), "xyz".into()])),
        (
            "<U2",
            le(&[('é' as u32).to_le_bytes(), [0; 4], [b'o', 0, 0, 0], [b'k', 0, 0, 0]]),
            TensorData::String(vec!["é".into(), "ok".into()]),
        ),
    ] {
        let tensor = decode(&npy(dtype, false, "(2,)", &data)).unwrap();
        assert_eq!(tensor.data(), &want, "{dtype}");
    }
}

#[test]
fn column_order_becomes_row_order() {
    // [[0, 1, 2], [3, 4, 5]] stored column by column
    let tensor = decode(&npy("|u1", true, "(2, 3)", &[0, 3, 1, 4, 2, 5])).unwrap();
    assert_eq!(tensor.shape(), [2, 3]);
    assert_eq!(tensor.data(), &TensorData::U8(vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn unusable_array_error_names_the_reason() {
    let whole = npy("<f4", false, "(2,)", &[0; 8]);
    for (bytes, words) in [
        (b"hello".to_vec(), "no .npy array"),
        (whole[..whole.len() - 1].to_vec(), "damaged"),
        (npy("<f4", false, "(1000000000000, 10)", &[0; 8]), "cut short"),
        (npy("<c8", false, "(1,)", &[0; 8]), "dtype"),
        (npy("|O", false, "(1,)", &[0; 8]), "Python objects"),
    ] {
        let reason = decode(&bytes).unwrap_err();
        assert!(reason.contains(words), "{words}: {reason}");
    }
    let error = read_npy(std::env::temp_dir().as_path()).unwrap_err().to_string();
    assert!(error.contains("folder"), "{error}");
}

fn signature() -> Signature {
    let spec = |name: &str, element, dims| TensorSpec { name: name.to_owned(), element, dims };
    Signature {
        inputs: vec![
            spec("x", ElementType::U8, Some(vec![Dim::Fixed(2)])),
            spec("rate", ElementType::I64, Some(vec![])),
        ],
        outputs: vec![],
    }
}

fn x() -> (&'static str, Vec<u8>) {
    ("x", npy("|u1", false, "(3, 2)", &[0, 1, 2, 3, 4, 5]))
}

fn longs(values: &[i64]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("<i8", false, &format!("({},)", values.len()), &data)
}

#[test]
fn splits_a_recording_into_requests() {
    let file = npz(&[x(), ("rate", longs(&[7, 8, 9])), (ARRIVALS, longs(&[100, 100, 350]))]);
    let recording = read_requests(file.path(), &signature()).unwrap();
    assert_eq!(recording.requests.len(), 3);
    let second = &recording.requests[1];
    assert_eq!(second[0].tensor, Tensor::new(vec![2], TensorData::U8(vec![2, 3])).unwrap());
    assert_eq!(second[1].tensor, Tensor::new(vec![], TensorData::I64(vec![8])).unwrap());
    let micros: Vec<u128> = recording.arrivals.unwrap().iter().map(Duration::as_micros).collect();
    assert_eq!(micros, [0, 0, 250]);
}

#[test]
fn refuses_a_recording_that_does_not_fit() {
    let rate = || ("rate", longs(&[7, 8, 9]));
    for (arrays, words) in [
        (vec![x()], "no array for the input `rate`"),
        (vec![x(), ("rate", longs(&[7]))], "holds 1 requests"),
        (vec![x(), rate(), (ARRIVALS, longs(&[3, 2, 1]))], "falls"),
        (vec![x(), rate(), (ARRIVALS, longs(&[3]))], "1 times for 3"),
        (
            vec![("x", npy("|u1", false, "(3, 1)", &[0; 3])), rate()],
            "where the model wants uint8 [2]",
        ),
        (vec![("x", longs(&[1, 2, 3])), rate()], "int64"),
    ] {
        let file = npz(&arrays);
        let error = read_requests(file.path(), &signature()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
