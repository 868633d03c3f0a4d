//! Times and counts as people read them.

/// Seconds with as many digits as matter.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Seconds, or the word when they are not known.
pub fn seconds_or(value: Option<f64>, unknown: &str) -> String {
    value.map_or_else(|| unknown.to_owned(), seconds)
}

/// A moment in this machine's time zone.
pub fn moment(micros: i64) -> String {
    let zoned = jiff::Timestamp::from_microsecond(micros)
        .map(|moment| moment.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or_else(|_| "?".to_owned(), |zoned| zoned.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Seconds between two moments.
pub fn between(start: Option<i64>, end: Option<i64>) -> Option<f64> {
    Some((end? - start?) as f64 / 1e6)
}

/// `1 row`, `2 rows`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A table without lines.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    table.column_iter_mut().take(1).for_each(|first| {
        first.set_padding((0, 1));
    });
    format!("{}\n", table.trim_fmt())
}
