//! Pictures with a row for each contender.

use super::{
    Area, COLOURS, LEFT, PALE, WIDTH, anchored, decades, said, save, tick_name, ticks, title,
    value_of,
};
use crate::case::{Case, Mode, Workload};
use crate::groups::Group;
use crate::peers::{CONTENDERS, Contender};
use crate::report::Results;
use crate::report::words::number;
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use std::path::Path;

/// Rows of names with something drawn beside them on a logarithmic scale.
fn rows(
    path: &Path,
    [title_text, unit]: [&str; 2],
    legend: &[(&str, RGBColor)],
    names: &[String],
    values: &[f64],
    mut paint: impl FnMut(&Area<'_>, usize, i32, &dyn Fn(f64) -> i32) -> Result<()>,
) -> Result<()> {
    let Some(decades) = decades(values.iter().copied()) else {
        return Ok(());
    };
    const ROW: i32 = 34;
    let (left, right, top) = (LEFT, WIDTH as i32 - 90, 76);
    let bottom = top + ROW * names.len() as i32;
    let x_at = |value: f64| {
        let share =
            (value.log10() - f64::from(decades.start)) / f64::from(decades.end - decades.start);
        left + (share * f64::from(right - left)) as i32
    };
    save(path, bottom as u32 + 64, |area| {
        title(area, [title_text, ""])?;
        let caption = anchored(13.0, HPos::Center, VPos::Top);
        let below = ((left + right) / 2, bottom + 30);
        area.draw(&Text::new(format!("{unit} (logarithmic)"), below, caption))
            .map_err(said)?;
        let mut x = left;
        for &(name, colour) in legend {
            area.draw(&Rectangle::new([(x, 44), (x + 14, 56)], colour.filled()))
                .map_err(said)?;
            let text = anchored(13.0, HPos::Left, VPos::Center);
            area.draw(&Text::new(name.to_string(), (x + 20, 50), text))
                .map_err(said)?;
            x += 40 + 8 * name.len() as i32;
        }
        for tick in ticks(&decades) {
            let x = x_at(value_of(tick));
            area.draw(&PathElement::new(
                vec![(x, top - 6), (x, bottom)],
                PALE.stroke_width(1),
            ))
            .map_err(said)?;
            let text = anchored(13.0, HPos::Center, VPos::Top);
            area.draw(&Text::new(tick_name(tick), (x, bottom + 8), text))
                .map_err(said)?;
        }
        for (index, name) in names.iter().enumerate() {
            let middle = top + ROW * index as i32 + ROW / 2;
            let text = anchored(13.0, HPos::Right, VPos::Center);
            area.draw(&Text::new(name.clone(), (left - 10, middle), text))
                .map_err(said)?;
            paint(area, index, middle, &x_at)?;
        }
        Ok(())
    })
}

/// The name in a picture: who stays in one process is marked.
pub fn row_name(contender: &Contender) -> String {
    if contender.driver.between_processes() {
        contender.name.into()
    } else {
        format!("{} (threads)", contender.name)
    }
}

pub fn throughput(results: &Results, path: &Path) -> Result<()> {
    const MODES: [(Mode, &str, RGBColor); 3] = [
        (Mode::Single, "one call each", COLOURS[1]),
        (Mode::Batch, "batches of 256", COLOURS[4]),
        (Mode::InPlace, "in place", COLOURS[2]),
    ];
    let figure = |contender: &Contender, mode| {
        let case = Case {
            mode,
            ..Case::new(contender.name, Workload::Stream, 8)
        };
        results
            .figure(Group::Throughput, &case, 0)
            .map(|figure| figure.median * 1e-6)
    };
    let best = |contender: &Contender| {
        MODES
            .iter()
            .filter_map(|(mode, ..)| figure(contender, *mode))
            .fold(0.0, f64::max)
    };
    let mut order: Vec<_> = CONTENDERS
        .iter()
        .filter(|contender| best(contender) > 0.0 && !contender.is_before())
        .collect();
    // A contender without single calls goes by what it has.
    let single =
        |contender: &Contender| figure(contender, Mode::Single).unwrap_or_else(|| best(contender));
    order.sort_by(|one, other| single(other).total_cmp(&single(one)));
    let names: Vec<_> = order.iter().map(|contender| row_name(contender)).collect();
    let values: Vec<_> = order
        .iter()
        .flat_map(|contender| {
            MODES
                .iter()
                .filter_map(|(mode, ..)| figure(contender, *mode))
        })
        .collect();
    rows(
        path,
        [
            "Items of 8 bytes from one process to another",
            "million items/s",
        ],
        &MODES.map(|(_, name, colour)| (name, colour)),
        &names,
        &values,
        |area, index, middle, x_at| {
            let bars: Vec<_> = MODES
                .iter()
                .filter_map(|(mode, _, colour)| Some((figure(order[index], *mode)?, *colour)))
                .collect();
            let high = 30 / bars.len() as i32;
            for (place, (value, colour)) in bars.iter().enumerate() {
                let y = middle - 15 + high * place as i32;
                let bar = [(LEFT, y), (x_at(*value), y + high - 1)];
                area.draw(&Rectangle::new(bar, colour.filled()))
                    .map_err(said)?;
                let text = anchored(
                    if bars.len() > 2 { 10.0 } else { 12.0 },
                    HPos::Left,
                    VPos::Center,
                );
                area.draw(&Text::new(
                    number(*value),
                    (x_at(*value) + 5, y + high / 2),
                    text,
                ))
                .map_err(said)?;
            }
            Ok(())
        },
    )
}

pub fn round_trips(results: &Results, path: &Path) -> Result<()> {
    const QUANTILES: [(usize, &str, RGBColor); 3] = [
        (0, "p50", COLOURS[1]),
        (1, "p99", COLOURS[4]),
        (2, "p99.9", COLOURS[0]),
    ];
    let figure = |contender: &Contender, value| {
        let case = Case::new(contender.name, Workload::RoundTrip, 8);
        results
            .figure(Group::RoundTrip, &case, value)
            .map(|figure| figure.median)
    };
    let p50 = |contender: &Contender| figure(contender, 0).unwrap_or(0.0);
    let mut order: Vec<_> = CONTENDERS
        .iter()
        .filter(|contender| p50(contender) > 0.0 && !contender.is_before())
        .collect();
    order.sort_by(|one, other| p50(one).total_cmp(&p50(other)));
    let names: Vec<_> = order.iter().map(|contender| row_name(contender)).collect();
    let values: Vec<_> = order
        .iter()
        .flat_map(|contender| (0..3).filter_map(|value| figure(contender, value)))
        .collect();
    rows(
        path,
        ["8 bytes to another process and back", "ns"],
        &QUANTILES.map(|(_, name, colour)| (name, colour)),
        &names,
        &values,
        |area, index, middle, x_at| {
            let found: Vec<_> = QUANTILES
                .iter()
                .filter_map(|(value, _, colour)| {
                    Some((x_at(figure(order[index], *value)?), *colour))
                })
                .collect();
            let line = found.iter().map(|&(x, _)| (x, middle)).collect::<Vec<_>>();
            area.draw(&PathElement::new(line, PALE.stroke_width(3)))
                .map_err(said)?;
            for &(x, colour) in &found {
                area.draw(&Circle::new((x, middle), 5, colour.filled()))
                    .map_err(said)?;
            }
            if let (Some(&(x, _)), Some(value)) = (found.last(), figure(order[index], 0)) {
                let text = anchored(11.0, HPos::Left, VPos::Center);
                let text_of_it = format!("p50 {}", number(value));
                area.draw(&Text::new(text_of_it, (x + 10, middle), text))
                    .map_err(said)?;
            }
            Ok(())
        },
    )
}
