//! Which machine builds a runner: the user's word, or else what makes sense.

/// Where the user wants runners to be built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuildOn {
    /// Here.
    Laptop,
    /// There.
    Hypervisor,
    /// Here, if the systems are the same or nothing has to be built.
    #[default]
    Auto,
}

/// Where one runner is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this machine; its closure is copied afterwards.
    Here,
    /// On the hypervisor; its derivations are sent.
    There,
}

impl BuildOn {
    /// Whether the answer depends on what is in the local store.
    pub fn asks_the_store(self, laptop: &str, system: &str) -> bool {
        self == Self::Auto && laptop != system
    }

    /// Where to build a runner for `system` from a laptop of that system. `built_here`:
    /// it is in the local store already, perhaps by a remote builder of the user's.
    pub fn place(self, laptop: &str, system: &str, built_here: bool) -> Place {
        match self {
            Self::Laptop => Place::Here,
            Self::Hypervisor => Place::There,
            Self::Auto if laptop == system || built_here => Place::Here,
            Self::Auto => Place::There,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_word_counts_before_anything_else() {
        for built in [true, false] {
            for system in ["x86_64-linux", "aarch64-linux"] {
                assert_eq!(BuildOn::Laptop.place("x86_64-linux", system, built), Place::Here);
                assert_eq!(BuildOn::Hypervisor.place("x86_64-linux", system, built), Place::There);
            }
        }
    }

    #[test]
    fn auto_builds_here_what_this_machine_can_build() {
        let auto = BuildOn::Auto;
        assert_eq!(auto.place("x86_64-linux", "x86_64-linux", false), Place::Here);
        assert_eq!(auto.place("aarch64-linux", "x86_64-linux", false), Place::There);
        for mac in ["aarch64-darwin", "x86_64-darwin"] {
            assert_eq!(auto.place(mac, "aarch64-linux", false), Place::There);
            assert_eq!(auto.place(mac, "x86_64-linux", false), Place::There);
            assert_eq!(auto.place(mac, "x86_64-linux", true), Place::Here);
        }
    }

    #[test]
    fn the_store_is_asked_only_when_it_matters() {
        assert!(BuildOn::Auto.asks_the_store("aarch64-darwin", "aarch64-linux"));
        assert!(!BuildOn::Auto.asks_the_store("x86_64-linux", "x86_64-linux"));
        assert!(!BuildOn::Hypervisor.asks_the_store("aarch64-darwin", "aarch64-linux"));
        assert!(!BuildOn::Laptop.asks_the_store("aarch64-darwin", "aarch64-linux"));
    }
}
