use farm_types::Class;

/// What is to happen.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Who builds.
    pub builders: Vec<BuilderPlan>,
    /// What is handed in; those of the same moment in this order.
    pub submissions: Vec<Submission>,
    /// How long packages took before: platform, name, seconds.
    pub history: Vec<(&'static str, String, f64)>,
    /// The shares of persons; 1 where nothing is said.
    pub shares: Vec<(String, f64)>,
}

/// Builders that are alike.
#[derive(Debug, Clone, Copy)]
pub struct BuilderPlan {
    /// Whose tasks they build.
    pub arch: &'static str,
    /// How many there are.
    pub count: u32,
    /// How many tasks each builds at once.
    pub slots: u32,
    /// How many of those background tasks leave free.
    pub spare: u16,
}

/// A job of one package on one platform.
#[derive(Debug, Clone)]
pub struct Submission {
    /// When it is handed in.
    pub when: When,
    /// By whom.
    pub person: String,
    /// How.
    pub class: Class,
    /// Where to.
    pub platform: &'static str,
    /// The package, by which history knows it.
    pub package: String,
    /// How long it will take.
    pub seconds: f64,
}

/// When something is handed in.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// So many seconds after the beginning.
    At(f64),
    /// As soon as the submission of that index was built.
    After(usize),
}
