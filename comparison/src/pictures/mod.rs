//! What was measured, drawn: SVG pictures that are readable on light and on dark pages.

mod rows;

use crate::case::{Mode, Workload};
use crate::groups::Group;
use crate::peers;
use crate::report::words::{size_name, thousands};
use crate::report::{Growth, Results};
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use rows::{round_trips, row_name, throughput};
use std::fs;
use std::ops::Range;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const PALE: RGBColor = RGBColor(0xD0, 0xD7, 0xDE);
/// What takes their place where the reader's page is dark.
const DARK: [(RGBColor, &str); 3] = [(PAPER, "#0d1117"), (INK, "#e6edf3"), (PALE, "#30363d")];

/// Readable on both, and told apart by colour-blind readers (after Okabe and Ito).
const COLOURS: [RGBColor; 10] = [
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x8A, 0x63, 0xD2),
    RGBColor(0x8C, 0x6D, 0x46),
    RGBColor(0x80, 0x80, 0x80),
    RGBColor(0xC2, 0x18, 0x5B),
];

const WIDTH: u32 = 960;
/// Where rows begin, right of their names.
const LEFT: i32 = 250;

/// Draws what was measured.
pub fn draw(results: &Results, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    if results.part(Group::Throughput).is_some() {
        throughput(results, &folder.join("throughput.svg"))?;
    }
    if results.part(Group::RoundTrip).is_some() {
        round_trips(results, &folder.join("round-trip.svg"))?;
    }
    for group in [Group::Size, Group::Capacity, Group::Processes] {
        if results.part(group).is_some() {
            growth(results, folder, group)?;
        }
    }
    Ok(())
}

/// Throughput and round trips over what grows.
fn growth(results: &Results, folder: &Path, group: Group) -> Result<()> {
    let gib = |bytes: usize| bytes as f64 / (1_u64 << 30) as f64;
    let million = |_| 1e-6;
    let micro = |_| 1e-3;
    let thousand = |count: usize| thousands(count as u64);
    match group {
        Group::Size => {
            line_chart(
                &folder.join("size.svg"),
                &Chart {
                    title: "Throughput over the size of an item",
                    below: "one sender, one receiver, each in its fastest way",
                    x: "bytes of an item",
                    y: "GiB/s",
                },
                &curves(results, &Growth::sizes(Workload::Stream, 0), gib),
                size_name,
            )?;
            line_chart(
                &folder.join("size-latency.svg"),
                &Chart {
                    title: "Round trip over the size of an item",
                    below: "one call there, one back; median",
                    x: "bytes of an item",
                    y: "µs",
                },
                &curves(results, &Growth::sizes(Workload::RoundTrip, 0), micro),
                size_name,
            )
        }
        Group::Capacity => {
            line_chart(
                &folder.join("capacity.svg"),
                &Chart {
                    title: "Throughput over the capacity",
                    below: "items of 8 bytes, one call each",
                    x: "slots",
                    y: "million items/s",
                },
                &curves(results, &Growth::capacities(Workload::Stream, 0), million),
                thousand,
            )?;
            line_chart(
                &folder.join("capacity-latency.svg"),
                &Chart {
                    title: "Round trip over the capacity",
                    below: "items of 8 bytes, one call there, one back; median",
                    x: "slots",
                    y: "µs",
                },
                &curves(results, &Growth::capacities(Workload::RoundTrip, 0), micro),
                thousand,
            )
        }
        _ => {
            line_chart(
                &folder.join("processes.svg"),
                &Chart {
                    title: "Throughput over the number of processes",
                    below: "items of 8 bytes on one channel; two processors",
                    x: "senders + receivers",
                    y: "million items/s",
                },
                &curves(results, &Growth::processes(Workload::Stream, 0), million),
                |pairs| format!("{pairs} + {pairs}"),
            )?;
            line_chart(
                &folder.join("processes-latency.svg"),
                &Chart {
                    title: "Round trip over the number of processes",
                    below: "each pair has channels of its own; two processors; mean",
                    x: "pairs at once",
                    y: "µs",
                },
                &curves(results, &Growth::processes(Workload::RoundTrip, 3), micro),
                |pairs| format!("{pairs}"),
            )
        }
    }
}

/// What a chart says besides its curves.
struct Chart<'a> {
    title: &'a str,
    below: &'a str,
    x: &'a str,
    y: &'a str,
}

/// Of several processes only this crate's batches are measured.
const BATCHES: &str = ", batches of 32";

/// A name and what it has at each x.
type Curve = (String, Vec<(usize, f64)>);

fn curves(results: &Results, growth: &Growth, scale: impl Fn(usize) -> f64) -> Vec<Curve> {
    let everybody = results.grown(growth);
    let curve = |(name, mode): &(String, Mode)| {
        let points = growth.points.iter().filter_map(|&at| {
            let figure = results.grown_figure(growth, name, *mode, at)?;
            Some((at, figure.median * scale(at)))
        });
        // Who takes part in two ways is told apart.
        let ways = everybody.iter().filter(|(other, _)| other == name).count();
        let label = match mode {
            Mode::Batch if ways > 1 => format!("{name}{BATCHES}"),
            _ => name.clone(),
        };
        (label, points.collect())
    };
    let curves = everybody.iter().map(curve);
    curves
        .filter(|(_, points): &Curve| !points.is_empty())
        .collect()
}

/// Errors of plotters borrow from the picture; their words do not.
fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

fn style(size: f64) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn anchored(size: f64, h: HPos, v: VPos) -> TextStyle<'static> {
    style(size).pos(Pos::new(h, v))
}

/// Draws into a string and saves it with the colours for dark pages.
fn save(path: &Path, height: u32, paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&PAPER).map_err(said)?;
        paint(&area)?;
        area.present().map_err(said)?;
    }
    let mut rules = String::new();
    for (RGBColor(red, green, blue), dark) in DARK {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        rules.push_str(&format!(
            "[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}"
        ));
    }
    let rules = format!("<style>@media (prefers-color-scheme: dark){{{rules}}}</style>\n");
    let end_of_tag = svg
        .find('>')
        .ok_or_else(|| anyhow!("no picture was drawn"))?
        + 1;
    svg.insert_str(end_of_tag, &format!("\n{}", rules.trim_end()));
    Ok(fs::write(path, svg)?)
}

fn title(area: &Area<'_>, lines: [&str; 2]) -> Result<()> {
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        let size = if index == 0 { 18.0 } else { 13.0 };
        area.draw(&Text::new(
            line.to_string(),
            (20, 14 + 24 * index as i32),
            style(size),
        ))
        .map_err(said)?;
    }
    Ok(())
}

/// Powers of ten that hold all values.
fn decades(values: impl Iterator<Item = f64>) -> Option<Range<i32>> {
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    (high > 0.0).then(|| {
        low.log10().floor() as i32..(high.log10().ceil() as i32).max(low.log10().floor() as i32 + 1)
    })
}

/// Where lines go across: at powers of ten, where those are few at 2 and 5 times them, too.
fn ticks(decades: &Range<i32>) -> Vec<(u64, i32)> {
    let steps: &[u64] = if decades.len() > 2 { &[1] } else { &[1, 2, 5] };
    let below = decades
        .clone()
        .flat_map(|exponent| steps.iter().map(move |&step| (step, exponent)));
    below.chain([(1, decades.end)]).collect()
}

fn value_of((step, exponent): (u64, i32)) -> f64 {
    step as f64 * 10_f64.powi(exponent)
}

/// 10, 100, 1,000 and so on, below 1 as decimals.
fn tick_name((step, exponent): (u64, i32)) -> String {
    match u32::try_from(exponent) {
        Ok(exponent) => thousands(step * 10_u64.pow(exponent)),
        Err(_) => {
            let digits = exponent.unsigned_abs() as usize;
            format!("{:.digits$}", value_of((step, exponent)))
        }
    }
}

/// The same colour for the same contender in all pictures; of those that share one, no picture has two.
const KEPT: [(&str, usize); 19] = [
    (peers::SPSC, 0),
    (peers::RTRB, 1),
    ("System V message queue", 1),
    ("Boost spsc_queue", 2),
    ("Boost message_queue", 2),
    (peers::SPSC_CONTIGUOUS, 3),
    (peers::ARRAY_QUEUE, 3),
    ("iceoryx2", 4),
    ("shmem-ipc, spinning", 4),
    ("POSIX message queue", 4),
    ("pipe", 5),
    (peers::MPMC, 6),
    (peers::LECTURE, 7),
    ("Unix stream socket", 7),
    ("Unix seqpacket socket", 7),
    ("ringbuf", 8),
    ("crossbeam channel", 8),
    (peers::SEMAPHORES, 9),
    ("sysvshm mpmc, batches of 32", 0),
];

fn colours(curves: &[Curve]) -> Vec<RGBColor> {
    let kept = |name: &str| {
        KEPT.iter()
            .find(|(other, _)| *other == name)
            .map(|&(_, colour)| colour)
    };
    let taken: Vec<usize> = curves.iter().filter_map(|(name, _)| kept(name)).collect();
    let mut free = (0..COLOURS.len())
        .filter(|colour| !taken.contains(colour))
        .cycle();
    let colour = |(name, _): &Curve| COLOURS[kept(name).or_else(|| free.next()).unwrap_or(0)];
    curves.iter().map(colour).collect()
}

fn line_chart(
    path: &Path,
    chart: &Chart<'_>,
    curves: &[Curve],
    x_name: impl Fn(usize) -> String,
) -> Result<()> {
    let Some(decades) = decades(
        curves
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, y)| *y)),
    ) else {
        return Ok(());
    };
    let mut xs: Vec<usize> = curves
        .iter()
        .flat_map(|(_, points)| points.iter().map(|(x, _)| *x))
        .collect();
    xs.sort_unstable();
    xs.dedup();
    const HEIGHT: u32 = 520;
    const LEGEND: i32 = 250;
    let (left, right, top, bottom) = (80, WIDTH as i32 - LEGEND, 100, HEIGHT as i32 - 60);
    let x_at = |x: usize| {
        let index = xs.iter().position(|&other| other == x).unwrap_or(0);
        left + 20 + (right - left - 40) * index as i32 / (xs.len().max(2) - 1) as i32
    };
    let y_at = |y: f64| {
        let share = (y.log10() - f64::from(decades.start)) / f64::from(decades.end - decades.start);
        bottom - (share * f64::from(bottom - top)) as i32
    };
    save(path, HEIGHT, |area| {
        title(area, [chart.title, chart.below])?;
        let y_name = anchored(13.0, HPos::Left, VPos::Center);
        let y_text = format!("{} (logarithmic)", chart.y);
        area.draw(&Text::new(y_text, (20, top - 26), y_name))
            .map_err(said)?;
        let x_name_style = anchored(13.0, HPos::Center, VPos::Top);
        let below = ((left + right) / 2, bottom + 32);
        area.draw(&Text::new(chart.x.to_string(), below, x_name_style))
            .map_err(said)?;
        for tick in ticks(&decades) {
            let y = y_at(value_of(tick));
            area.draw(&PathElement::new(
                vec![(left, y), (right, y)],
                PALE.stroke_width(1),
            ))
            .map_err(said)?;
            let name = anchored(13.0, HPos::Right, VPos::Center);
            area.draw(&Text::new(tick_name(tick), (left - 8, y), name))
                .map_err(said)?;
        }
        for &x in &xs {
            let name = anchored(13.0, HPos::Center, VPos::Top);
            area.draw(&Text::new(x_name(x), (x_at(x), bottom + 10), name))
                .map_err(said)?;
        }
        let colours = colours(curves);
        // The legend in the order of the curves' ends, near them where there is room.
        let end = |index: usize| curves[index].1.last().map_or(bottom, |&(_, y)| y_at(y));
        let mut order: Vec<usize> = (0..curves.len()).collect();
        order.sort_by_key(|&index| end(index));
        let mut free = top;
        let room = |place: usize| bottom - 20 * (curves.len() - place) as i32 + 20;
        for (place, &index) in order.iter().enumerate() {
            let (name, points) = &curves[index];
            let colour = colours[index];
            let line: Vec<(i32, i32)> = points.iter().map(|&(x, y)| (x_at(x), y_at(y))).collect();
            area.draw(&PathElement::new(line.clone(), colour.stroke_width(2)))
                .map_err(said)?;
            for point in line {
                area.draw(&Circle::new(point, 4, colour.filled()))
                    .map_err(said)?;
            }
            let y = free.max(end(index)).min(room(place));
            free = y + 20;
            let dot = (right + 14, y);
            area.draw(&PathElement::new(
                vec![(right - 10, end(index)), dot],
                colour.mix(0.6).stroke_width(1),
            ))
            .map_err(said)?;
            area.draw(&Circle::new(dot, 4, colour.filled()))
                .map_err(said)?;
            let style = anchored(13.0, HPos::Left, VPos::Center);
            area.draw(&Text::new(legend_name(name), (right + 24, y), style))
                .map_err(said)?;
        }
        Ok(())
    })
}

fn legend_name(name: &str) -> String {
    peers::find(name).map_or_else(|| name.to_string(), row_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_decades_have_lines_between() {
        let names = |decades| {
            ticks(&decades)
                .into_iter()
                .map(tick_name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(-1..0), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(names(-2..2), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(
            names(2..4),
            ["100", "200", "500", "1,000", "2,000", "5,000", "10,000"]
        );
    }

    #[test]
    fn no_two_curves_of_a_picture_share_a_colour() {
        let pictures = [
            &[
                "sysvshm spsc, contiguous",
                "sysvshm spsc",
                "sysvshm mpmc",
                "rtrb",
                "Boost spsc_queue",
                "iceoryx2",
                "pipe",
                "Unix stream socket",
            ][..],
            &[
                "sysvshm spsc",
                "sysvshm mpmc",
                "sysvshm lecture",
                "rtrb",
                "ringbuf",
                "crossbeam ArrayQueue",
                "Boost spsc_queue",
                "shmem-ipc, spinning",
            ],
            &[
                "sysvshm mpmc, batches of 32",
                "sysvshm mpmc",
                "Boost message_queue",
                "pipe",
                "Unix seqpacket socket",
                "POSIX message queue",
                "System V message queue",
                "System V semaphores",
                "crossbeam ArrayQueue",
                "crossbeam channel",
            ],
            &[
                "sysvshm spsc",
                "sysvshm mpmc",
                "iceoryx2",
                "rtrb",
                "crossbeam ArrayQueue",
                "crossbeam channel",
                "Boost message_queue",
                "pipe",
                "Unix seqpacket socket",
            ],
        ];
        for names in pictures {
            let curves: Vec<Curve> = names
                .iter()
                .map(|name| (name.to_string(), Vec::new()))
                .collect();
            let mut colours: Vec<_> = colours(&curves).iter().map(RGBColor::rgb).collect();
            colours.sort_unstable();
            colours.dedup();
            assert_eq!(colours.len(), names.len(), "{names:?}");
        }
    }
}
