//! The checksum of snapshots and dumped values: CRC-64 with the polynomial of Jones, reflected
//! (Redis source, `crc64.c`). Eight bytes a step, by tables made at compile time.

const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
const TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`. It begins with 0.
pub(super) fn crc64(mut crc: u64, bytes: &[u8]) -> u64 {
    let (steps, rest) = bytes.as_chunks::<8>();
    for step in steps {
        let mixed = (crc ^ u64::from_le_bytes(*step)).to_le_bytes();
        crc = mixed
            .iter()
            .zip(TABLES.iter().rev())
            .fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
    }
    rest.iter()
        .fold(crc, |crc, byte| TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that `crc64.c` states.
    #[test]
    fn the_checksum_of_nine_digits_is_the_known_one() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let parts = crc64(crc64(crc64(0, b"1"), b"23456"), b"789");
        assert_eq!(parts, 0xe9c6_d914_c4b8_d9ca);
    }
}
