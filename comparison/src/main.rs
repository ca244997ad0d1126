//! sysvshm's bounded buffers beside other ways to hand items to another process, measured in one run.

mod act;
mod case;
mod check;
mod director;
mod ends;
mod figures;
mod groups;
mod item;
mod peers;
mod place;

use anyhow::Result;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(director::PERFORM) => return director::perform(&arguments.next().expect("a task")),
        Some("--check") => return check::check(|_| true),
        _ => {}
    }
    for (group, name) in groups::GROUPS {
        println!("{name}");
        let (series, _) = groups::run(groups::cases(group), groups::QUICK)?;
        for one in series {
            let v: Vec<f64> = one.samples.iter().map(|s| s.values[0]).collect();
            let p: Vec<f64> = one.samples.iter().filter_map(|s| s.probes).flatten().collect();
            println!("{:?} {:.4e} {:?}", one.case, figures::median(&v), figures::spread(&p).map(|s| (s.low, s.high)));
        }
    }
    Ok(())
}
