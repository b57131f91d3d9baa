// What the reference library writes, and what it makes of our files; see README.md.
use safetensors::tensor::{serialize, Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::{env, fs};

macro_rules! bytes {
    ($values:expr) => {
        $values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()
    };
}

fn save(path: &str, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)], metadata: HashMap<String, String>) {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.to_string(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(path, serialize(views, &Some(metadata)).unwrap()).unwrap();
}

fn write() {
    // Every sign and exponent, with all kinds of fractions.
    let halves: Vec<u16> = (0..1024u16).map(|i| 64 * i + i % 64).collect();
    let every: Vec<u8> = (0..=255).collect();
    let f32s = [0u32, 1 << 31, 1, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc01234, 0xffabcdef, 0x7f800001, 0x3f800000];
    let f64s = [0u64, 1 << 63, 1, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff800000badcafe, 0xfff0000000000001];
    let i64s = [i64::MIN, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, i64::MAX];
    let tensors = [
        ("f16", Dtype::F16, vec![32, 32], bytes!(halves)),
        ("bf16", Dtype::BF16, vec![1024], bytes!(halves)),
        ("u8", Dtype::U8, vec![16, 16], every.clone()),
        ("i8", Dtype::I8, vec![256], every),
        ("bool", Dtype::BOOL, vec![2, 3], vec![0, 1, 1, 0, 0, 1]),
        ("i16", Dtype::I16, vec![5], bytes!([i16::MIN, -1, 0, 1, i16::MAX])),
        ("u16", Dtype::U16, vec![3], bytes!([0u16, 1 << 15, u16::MAX])),
        ("i32", Dtype::I32, vec![5, 1], bytes!([i32::MIN, -1, 0, 1, i32::MAX])),
        ("u32", Dtype::U32, vec![3], bytes!([0u32, 1 << 31, u32::MAX])),
        ("i64", Dtype::I64, vec![7], bytes!(i64s)),
        ("u64", Dtype::U64, vec![3], bytes!([0u64, (1 << 53) + 1, i64::MAX as u64])),
        ("f32", Dtype::F32, vec![2, 5], bytes!(f32s)),
        ("f64", Dtype::F64, vec![2, 2, 2], bytes!(f64s)),
        ("scalar", Dtype::F32, vec![], bytes!([2.5f32])),
        ("empty", Dtype::F64, vec![3, 0, 2], vec![]),
        ("\"quoted\", \u{e9}, \u{1f600}", Dtype::F32, vec![1], bytes!([1f32])),
    ];
    let note = ("a \"note\"\n".to_string(), "tab\t, \u{e9}".to_string());
    save("theirs.safetensors", &tensors, HashMap::from([note]));
    let large = [("x", Dtype::U64, vec![1], bytes!([u64::MAX]))];
    save("too_large.safetensors", &large, HashMap::new());
}

// FNV-1a, of 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf29ce484222325, |h, b| (h ^ *b as u64).wrapping_mul(0x100000001b3))
}

fn read(path: &str) {
    let file = fs::read(path).unwrap();
    let tensors = match SafeTensors::deserialize(&file) {
        Ok(tensors) => tensors,
        Err(error) => return println!("{path}: refused, {error:?}"),
    };
    let mut lines: Vec<String> = tensors.tensors().iter()
        .map(|(name, t)| format!("{name} {:?} {:?} {:016x}", t.dtype(), t.shape(), digest(t.data())))
        .collect();
    lines.sort();
    println!("{}", lines.join("\n"));
}

fn main() {
    let paths: Vec<String> = env::args().skip(1).collect();
    if paths.is_empty() {
        write();
    }
    for path in paths {
        read(&path);
    }
}
