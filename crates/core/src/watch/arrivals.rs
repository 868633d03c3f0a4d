//! How late the next renewal is, as a figure: φ, after "The φ Accrual Failure Detector"
//! (Hayashibara, Défago, Yared, Katayama, 2004). It warns and never decides.

use crate::Tick;
use std::collections::VecDeque;
use std::time::Duration;

/// One in a thousand renewals would come later than this.
pub const LATE: f64 = 3.0;
/// Intervals that are kept, and how many it takes to say anything.
const KEPT: usize = 100;
const ENOUGH: usize = 10;

/// When renewals of one epoch arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arrivals {
    last: Option<Tick>,
    /// In milliseconds.
    intervals: VecDeque<f64>,
}

impl Arrivals {
    /// Takes in one. A silence longer than `longest` tells nothing of how renewals arrive.
    pub fn arrived(&mut self, at: Tick, longest: Duration) {
        let interval = self.last.replace(at).map(|last| at.since(last));
        if let Some(interval) = interval.filter(|interval| *interval <= longest) {
            self.intervals.push_back(interval.as_secs_f64() * 1000.0);
        }
        if self.intervals.len() > KEPT {
            self.intervals.pop_front();
        }
    }

    /// φ: minus the logarithm of the chance that a renewal comes so late or later. `jitter` is the
    /// least deviation that is believed; none before enough arrived.
    pub fn phi(&self, now: Tick, jitter: Duration) -> Option<f64> {
        let waited = now.since(self.last?).as_secs_f64() * 1000.0;
        if self.intervals.len() < ENOUGH {
            return None;
        }
        let count = self.intervals.len() as f64;
        let mean = self.intervals.iter().sum::<f64>() / count;
        let variance = self.intervals.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt().max(jitter.as_secs_f64() * 1000.0);
        Some(-log10_of_upper_tail((waited - mean) / deviation))
    }
}

/// Logarithm of the chance that a standard normal variable exceeds `z`. By the rational Chebyshev
/// approximation of the complementary error function in Numerical Recipes, section 6.2 (its
/// relative error is below 1.2e-7 everywhere); the logarithm is taken of its terms, so that no
/// tail is too thin for a float.
fn log10_of_upper_tail(z: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let ln_tail = t.ln() - x * x + series - std::f64::consts::LN_2;
    if z >= 0.0 { ln_tail / std::f64::consts::LN_10 } else { (1.0 - ln_tail.exp()).log10() }
}
