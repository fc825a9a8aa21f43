//! Random damage to bytes.

/// Bytes that change the meaning of numbers and lengths, in either order of bytes.
const EDGES: [&[u8]; 8] = [
    &[0],
    &[0xff],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0, 0, 0, 0x80],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

/// The longest piece that one step replaces, removes or repeats.
const LONGEST_PIECE: usize = 40;

/// Damages bytes in one to four places. `pieces` are texts that have a meaning there, `others` are the bytes
/// of other cases.
pub(crate) fn damage(
    random: &mut fastrand::Rng,
    bytes: &mut Vec<u8>,
    pieces: &[&str],
    others: &[Vec<u8>],
) {
    for _ in 0..random.usize(1..5) {
        let start = random.usize(..=bytes.len());
        let end = random.usize(start..=bytes.len().min(start + LONGEST_PIECE));
        let range = start..end;
        let piece = random.choice(pieces).map_or(&[][..], |piece| piece.as_bytes());
        match random.u8(0..9) {
            0 => drop(bytes.drain(range)),
            1 => drop(bytes.splice(start..start, piece.iter().copied())),
            2 => drop(bytes.splice(range, piece.iter().copied())),
            3 => {
                let copy = bytes[range].repeat(random.usize(1..4));
                drop(bytes.splice(start..start, copy));
            }
            4 => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte ^= 1 << random.u8(0..8);
                }
            }
            5 => {
                let edge = random.choice(&EDGES).unwrap();
                let end = bytes.len().min(start + edge.len());
                drop(bytes.splice(start..end, edge.iter().copied()));
            }
            6 => bytes.truncate(start),
            7 => {
                let other = random.choice(others).map_or(&[][..], Vec::as_slice);
                let from = random.usize(..=other.len());
                let to = random.usize(from..=other.len().min(from + LONGEST_PIECE));
                drop(bytes.splice(range, other[from..to].iter().copied()));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte = random.u8(..);
                }
            }
        }
    }
}
