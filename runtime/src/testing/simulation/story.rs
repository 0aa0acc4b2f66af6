//! A schedule as people read it: who started, what they passed, what went wrong, how they ended.

use super::world::World;
use std::fmt::Write as _;

/// Crash points are named one after the other on a line; more on one line nobody reads.
const LINE_WIDTH: usize = 110;

/// The story of a world that was recorded.
pub(crate) fn story(world: &World) -> String {
    let lines = world.with(|state| state.lines.clone().unwrap_or_default());
    let mut story = String::new();
    let mut passing: Option<(super::Pid, String)> = None;
    let end = |passing: &mut Option<(super::Pid, String)>, story: &mut String| {
        if let Some((pid, places)) = passing.take() {
            let _ = writeln!(story, "  process {} passes {places}", pid.0);
        }
    };
    for (pid, line) in lines {
        let Some(place) = line.strip_prefix('·') else {
            end(&mut passing, &mut story);
            let (mark, text) = line.strip_prefix("! ").map_or((" ", line.as_str()), |fault| ("!", fault));
            let _ = writeln!(story, "{mark} process {} {text}", pid.0);
            continue;
        };
        match &mut passing {
            Some((who, places)) if *who == pid && places.len() < LINE_WIDTH => {
                let _ = write!(places, ", {place}");
            }
            _ => {
                end(&mut passing, &mut story);
                passing = Some((pid, place.to_owned()));
            }
        }
    }
    end(&mut passing, &mut story);
    story
}
