//! Values of any size pass in little memory. Each test has a process of its own, whose highest use
//! of memory the kernel tells.

use mainstay_wire::rdb::{Event, Format, Part, Reader, Rebuild};
use std::fs;

const LIMIT: usize = 1 << 20;

/// Kilobytes, as proc(5) has them in `VmHWM`.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the line is there");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

/// Feeds a value piece by piece and makes commands of it: how many bytes or things its parts had.
fn pass(head: &[u8], pieces: impl Iterator<Item = Vec<u8>>) -> u64 {
    let mut reader = Reader::new(LIMIT);
    let mut rebuild: Option<Rebuild> = None;
    let mut passed = 0;
    let head = [b"REDIS0009", head].concat();
    let end = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    for piece in std::iter::once(head).chain(pieces).chain([end]) {
        reader.feed(&piece);
        while let Some(event) = reader.next_event().expect("it is as the format says") {
            match event {
                Event::Large { key, kind } => {
                    rebuild = Some(Rebuild::of(key, kind, Format::REDIS_7_0));
                }
                Event::Part(part) => {
                    passed += match &part {
                        Part::Text(text) => text.len() as u64,
                        Part::Scored(scored) => scored.len() as u64,
                        other => panic!("{other:?}"),
                    };
                    let rebuild = rebuild.as_mut().expect("it began");
                    rebuild.part(part).expect("the target has its like");
                }
                _ => {}
            }
        }
    }
    assert!(reader.has_ended());
    passed
}

#[test]
fn a_string_of_512_megabytes_passes_in_little_memory() {
    let length = 512_u32 << 20;
    let head = [&[0, 1, b'k', 0x80][..], &length.to_be_bytes()].concat();
    let pieces = (0..length / (1 << 16)).map(|n| vec![n.to_le_bytes()[0]; 1 << 16]);
    assert_eq!(pass(&head, pieces), u64::from(length));
    assert!(most_memory() < 40_000, "{} kB", most_memory());
}

/// Compressed as far as LZF goes: a literal, then the longest references to it.
#[test]
fn a_compressed_string_passes_in_little_memory() {
    let references = 400_000_u32;
    let (packed, length) = (2 + references * 3, 1 + references * 264);
    let lengths = [packed.to_be_bytes(), length.to_be_bytes()];
    let head = [&[0, 1, b'k', 0xc3, 0x80][..], &lengths[0], &[0x80], &lengths[1], &[0, b'x']];
    let pieces = (0..references / 10_000).map(|_| [0xe0, 255, 0].repeat(10_000));
    assert_eq!(pass(&head.concat(), pieces), u64::from(length));
    assert!(most_memory() < 40_000, "{} kB", most_memory());
}

#[test]
fn a_sorted_set_of_a_million_members_passes_in_little_memory() {
    let count = 1_000_000_u32;
    let head = [&[5, 1, b'k', 0x80][..], &count.to_be_bytes()].concat();
    let member =
        |n: u32| [&[8][..], format!("{n:08}").as_bytes(), &f64::from(n).to_le_bytes()].concat();
    let pieces =
        (0..count / 5000).map(|page| (0..5000).flat_map(|n| member(page * 5000 + n)).collect());
    assert_eq!(pass(&head, pieces), u64::from(count));
    assert!(most_memory() < 40_000, "{} kB", most_memory());
}
