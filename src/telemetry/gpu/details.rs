//! What a card's readings say beyond use and memory, in lines for people: clocks, the link, who
//! computes on it, and what holds it down. What the driver does not give is left out.

use crate::layout::Bytes;
use crate::telemetry::GpuCard;

/// The lines; none for a card of which nothing more is known.
pub fn details(card: &GpuCard) -> Vec<String> {
    let groups = [clocks(card), link(card), processes(card), slowed(card)];
    groups.into_iter().filter(|words| !words.is_empty()).map(|words| words.join(", ")).collect()
}

fn clocks(card: &GpuCard) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(card.sm_clock_mhz.map(|mhz| format!("processors at {mhz} MHz")));
    words.extend(card.memory_clock_mhz.map(|mhz| format!("memory at {mhz} MHz")));
    let busy =
        card.memory_busy.map(|share| format!("read or written {:.0}% of the time", share * 100.0));
    words.extend(busy);
    words
}

fn link(card: &GpuCard) -> Vec<String> {
    let lanes = |generation: Option<u32>, width: Option<u32>| match (generation, width) {
        (Some(generation), Some(width)) => Some(format!("{generation} x{width}")),
        (Some(generation), None) => Some(generation.to_string()),
        (None, Some(width)) => Some(format!("x{width}")),
        (None, None) => None,
    };
    let mut words = Vec::new();
    if let Some(now) = lanes(card.pcie_generation, card.pcie_width) {
        let most = lanes(card.pcie_generation_max, card.pcie_width_max);
        // the link slows down by itself while it has nothing to carry
        let more = most.filter(|most| *most != now).map(|most| format!(" (up to {most})"));
        words.push(format!("PCIe {now}{}", more.unwrap_or_default()));
    }
    let rate = |bytes: u64| format!("{:.1} MB/s", bytes as f64 / 1e6);
    words
        .extend(card.pcie_received_bytes_per_s.map(|bytes| format!("{} to the card", rate(bytes))));
    words.extend(card.pcie_sent_bytes_per_s.map(|bytes| format!("{} from it", rate(bytes))));
    words
}

fn processes(card: &GpuCard) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(card.processes.map(|count| match count {
        0 => "no process computes on it".to_owned(),
        1 => "1 process computes on it".to_owned(),
        count => format!("{count} processes compute on it"),
    }));
    let held = card.own_memory_bytes.map(|bytes| Bytes(bytes).rounded());
    words.extend(held.map(|held| format!("this one holds {held}")));
    let share = card.own_utilisation.map(|share| format!("this one uses {:.0}%", share * 100.0));
    words.extend(share);
    words
}

fn slowed(card: &GpuCard) -> Vec<String> {
    let reasons: Vec<&str> = card.throttle.iter().flatten().map(String::as_str).collect();
    if reasons.is_empty() {
        return Vec::new();
    }
    vec![format!("slowed by: {}", reasons.join(", "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_and_the_rest_is_left_out() {
        let card = GpuCard {
            sm_clock_mhz: Some(1410),
            memory_clock_mhz: Some(6251),
            memory_busy: Some(0.41),
            pcie_generation: Some(1),
            pcie_generation_max: Some(4),
            pcie_width: Some(8),
            pcie_width_max: Some(8),
            pcie_received_bytes_per_s: Some(12_300_000),
            pcie_sent_bytes_per_s: Some(0),
            processes: Some(2),
            own_memory_bytes: Some(3 << 19),
            own_utilisation: Some(0.4),
            throttle: Some(vec!["power limit".to_owned(), "too hot".to_owned()]),
            ..GpuCard::default()
        };
        assert_eq!(
            details(&card),
            [
                "processors at 1410 MHz, memory at 6251 MHz, read or written 41% of the time",
                "PCIe 1 x8 (up to 4 x8), 12.3 MB/s to the card, 0.0 MB/s from it",
                "2 processes compute on it, this one holds 1.5 MiB, this one uses 40%",
                "slowed by: power limit, too hot",
            ]
        );
        let little = GpuCard { pcie_width: Some(16), throttle: Some(vec![]), ..GpuCard::default() };
        assert_eq!(details(&little), ["PCIe x16"]);
        assert!(details(&GpuCard::default()).is_empty());
    }
}
