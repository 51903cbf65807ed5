//! One list per enum: the Rust variants, their text in SQL, JSON, URLs and logs, and the documentation of both.

/// A text that names no variant of the enum asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is no {what}; known are: {known}")]
pub struct UnknownLabel {
    /// What was looked for, e.g. `task state`.
    pub what: &'static str,
    /// The text that was given.
    pub text: String,
    /// All labels, comma separated.
    pub known: String,
}

/// Makes an enum whose variants have one label each: `as_str`, `Display`, `FromStr`, `TryFrom<String>`, serde and
/// OpenAPI all come from the one list.
macro_rules! label_enum {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $label)] $variant,)+
        }

        impl $name {
            /// All variants, in the order of their declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The label: the same in SQL, JSON, URLs, logs and on pages.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::UnknownLabel;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| crate::UnknownLabel {
                    what: $what,
                    text: text.to_owned(),
                    known: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::UnknownLabel;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

pub(crate) use label_enum;
