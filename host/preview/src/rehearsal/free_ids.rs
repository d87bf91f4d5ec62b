//! Users and groups that nobody has, out of those that this process's own namespace
//! knows.

use std::fs;
use std::io;

/// Where free IDs are looked for, and how many they are: first as many as 16 bits number,
/// where no distribution gives any out; else those that systemd keeps free of all that
/// 16 bits number (<https://systemd.io/UIDS-GIDS>), for containers that know no others.
const FREE: [(u32, u32); 2] = [(0x7000_0000, 0x1_0000), (60_706, 478)];

/// What is written into `uid_map` and `gid_map`.
#[derive(Debug, PartialEq, Eq)]
pub struct Maps {
    /// The users.
    pub users: String,
    /// The groups.
    pub groups: String,
}

impl Maps {
    /// Maps to IDs that this process's namespace knows and gives nobody.
    ///
    /// # Errors
    /// It knows none of those, or does not say which it knows.
    pub fn free() -> io::Result<Self> {
        let of = |path: &str| free(&fs::read_to_string(path)?);
        Ok(Self {
            users: of("/proc/self/uid_map")?,
            groups: of("/proc/self/gid_map")?,
        })
    }
}

/// The map onto free IDs of a namespace that has itself this map.
fn free(own: &str) -> io::Result<String> {
    let known = |first: u32, count: u32| {
        own.lines().any(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(start)), Some(Ok(_)), Some(Ok(length))) => {
                    start <= first.into() && u64::from(first) + u64::from(count) <= start + length
                }
                _ => false,
            }
        })
    };
    let found = FREE
        .into_iter()
        .find(|(first, count)| known(*first, *count));
    let (first, count) = found.ok_or_else(|| {
        io::Error::other("none of the IDs that nobody has are known in this container")
    })?;
    Ok(format!("0 {first} {count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_that_nobody_has_and_the_namespace_knows() {
        let machine = "         0          0 4294967295\n";
        assert_eq!(free(machine).unwrap(), "0 1879048192 65536");
        let container = "         0     100000      65536\n";
        assert_eq!(free(container).unwrap(), "0 60706 478");
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(free(rootless).unwrap(), "0 60706 478");
    }

    #[test]
    fn root_alone_is_no_range_of_free_ids() {
        for own in [
            "0 0 1\n",
            "0 1000 1\n",
            "",
            "0 0 60706\n",
            "0 x 4294967295\n",
        ] {
            assert!(free(own).is_err(), "{own}");
        }
    }
}
