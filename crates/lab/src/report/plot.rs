//! SVG drawings for the HTML page. Colours are classes, so that the page's style decides.

use super::{Happened, LagPoint, Report};
use std::fmt::Write;

const WIDTH: f64 = 880.0;
/// Room for the labels at the left.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;

/// Maps seconds onto the drawing's width.
struct Across {
    from_s: f64,
    until_s: f64,
    left: f64,
}

impl Across {
    fn x(&self, at_s: f64) -> f64 {
        let span = (self.until_s - self.from_s).max(0.001);
        self.left + (at_s - self.from_s) / span * (WIDTH - RIGHT - self.left)
    }

    fn ticks(&self) -> Vec<f64> {
        let span = self.until_s - self.from_s;
        let steps = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0];
        let step = steps.into_iter().find(|step| span / step <= 10.0).unwrap_or(120.0);
        let first = (self.from_s / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|at| *at <= self.until_s).collect()
    }
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn svg(height: f64, title: &str, body: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">{body}</svg>",
        escape(title)
    )
}

fn axis(across: &Across, top: f64, bottom: f64) -> String {
    let mut body = String::new();
    for at in across.ticks() {
        let x = across.x(at);
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{} s</text>",
            bottom + 16.0,
            (at * 10.0).round() / 10.0
        );
    }
    body
}

/// What happened, one row each, over the seconds since the event.
pub fn timeline(title: &str, rows: &[Happened]) -> String {
    const ROW: f64 = 26.0;
    let ends = rows.iter().flat_map(|row| [row.at_s, row.until_s.unwrap_or(row.at_s)]);
    let (from_s, until_s) = ends.fold((0.0, 0.1), |(a, b), at| (f64::min(a, at), f64::max(b, at)));
    let across = Across { from_s, until_s, left: 150.0 };
    let bottom = rows.len() as f64 * ROW + 6.0;
    let mut body = axis(&across, 0.0, bottom);
    for (number, row) in rows.iter().enumerate() {
        timeline_row(&mut body, &across, number as f64 * ROW + 6.0, row);
    }
    svg(bottom + 24.0, title, &body)
}

fn timeline_row(body: &mut String, across: &Across, y: f64, row: &Happened) {
    let x = across.x(row.at_s);
    let end = across.x(row.until_s.unwrap_or(row.at_s)).max(x + 4.0);
    let class = match row.what.as_str() {
        "kill" => "bad",
        "first success" => "good",
        _ => "step",
    };
    let took = row.until_s.map_or_else(String::new, |until| {
        format!(" <tspan class=\"dim\">+{:.0} ms</tspan>", (until - row.at_s) * 1e3)
    });
    // Near the right end there is room only at the bar's left.
    let (anchor, text_x) = if end > WIDTH * 0.8 { ("end", x - 6.0) } else { ("start", end + 6.0) };
    let _ = write!(
        body,
        "<g><title>{}</title><text class=\"label\" x=\"138\" y=\"{text_y}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" rx=\"2\"/>\
         <text class=\"tick\" x=\"{text_x:.1}\" y=\"{text_y}\" text-anchor=\"{anchor}\">{:.3} s{took}</text></g>",
        escape(&row.detail),
        escape(&row.what),
        end - x,
        row.at_s,
        text_y = y + 11.0,
    );
}

/// The disasters and the last planned move, across a plot's whole height.
fn events(report: &Report, across: &Across, bottom: f64) -> String {
    let event = |(at_s, what): (f64, &str)| {
        let x = across.x(at_s);
        format!(
            "<line class=\"event\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"14\" y2=\"{bottom}\"/>\
             <text class=\"eventname\" x=\"{:.1}\" y=\"11\">{what}</text>",
            x - 1.0
        )
    };
    let kills = report.disasters.iter().map(|disaster| (disaster.kill_at_s, "kill"));
    let moves = report.switchover_at_s.map(|at_s| (at_s, "switchover"));
    kills.chain(moves).map(event).collect()
}

/// Acknowledged writes in each second.
pub fn writes(report: &Report) -> String {
    let bottom = 140.0;
    let across = Across { from_s: 0.0, until_s: report.scenario_s, left: LEFT };
    let most = report.acknowledged_per_second.iter().copied().max().unwrap_or(1).max(1);
    let mut body = axis(&across, 18.0, bottom);
    let width = (across.x(1.0) - across.x(0.0) - 1.0).max(1.0);
    for (second, count) in report.acknowledged_per_second.iter().enumerate() {
        let height = f64::from(*count) / f64::from(most) * (bottom - 22.0);
        let (x, y) = (across.x(second as f64), bottom - height);
        let _ = write!(
            body,
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             <title>second {second}: {count} acknowledged</title></rect>"
        );
    }
    let _ =
        write!(body, "<text class=\"tick\" x=\"56\" y=\"30\" text-anchor=\"end\">{most}</text>");
    body += &events(report, &across, bottom);
    svg(bottom + 24.0, "Acknowledged writes in each second", &body)
}

/// Lag over time, on a logarithmic scale: from 1 ms up. Where it is unknown there is a band.
pub fn lag(report: &Report) -> String {
    let bottom = 180.0;
    let across = Across { from_s: 0.0, until_s: report.scenario_s, left: LEFT };
    let largest = report.lag.iter().filter_map(|point| point.lag_s).fold(1.0, f64::max);
    let decades = largest.log10().ceil() as i32;
    let y = |lag_s: f64| {
        let share = (lag_s.max(0.001).log10() + 3.0) / f64::from(decades + 3);
        bottom - share * (bottom - 22.0)
    };
    let mut body = axis(&across, 18.0, bottom);
    for decade in -3..=decades {
        let (at, name) = (y(10f64.powi(decade)), decade_name(decade));
        let _ = write!(
            body,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"56\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            WIDTH - RIGHT,
            at + 4.0
        );
    }
    for (number, site) in report.sites.iter().enumerate() {
        let points: Vec<&LagPoint> = report.lag.iter().filter(|p| p.site == site.site).collect();
        lag_series(&mut body, &points, number, &across, &y, bottom);
    }
    body += &events(report, &across, bottom);
    svg(bottom + 24.0, "Lag over time", &body)
}

fn decade_name(decade: i32) -> String {
    if decade < 0 {
        format!("{} ms", 10i32.pow((decade + 3).max(0) as u32))
    } else {
        format!("{} s", 10i32.pow(decade as u32))
    }
}

fn lag_series(
    body: &mut String,
    points: &[&LagPoint],
    number: usize,
    across: &Across,
    y: &impl Fn(f64) -> f64,
    bottom: f64,
) {
    let mut path = String::new();
    let mut pen_down = false;
    for (index, point) in points.iter().enumerate() {
        let x = across.x(point.at_s);
        match point.lag_s {
            Some(lag_s) => {
                let command = if pen_down { 'L' } else { 'M' };
                let _ = write!(path, "{command}{x:.1} {:.1}", y(lag_s));
            }
            None => {
                let next = points.get(index + 1).map_or(x + 2.0, |next| across.x(next.at_s));
                let _ = write!(
                    body,
                    "<rect class=\"unknown\" x=\"{x:.1}\" y=\"18\" width=\"{:.1}\" height=\"{}\"/>",
                    (next - x + 0.2).clamp(0.5, 30.0),
                    bottom - 18.0
                );
            }
        }
        pen_down = point.lag_s.is_some();
    }
    let _ = write!(body, "<path class=\"lag lag{number}\" d=\"{path}\"/>");
}
