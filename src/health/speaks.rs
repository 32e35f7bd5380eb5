//! Which services are known by their first word.

/// What is expected behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// Answers an SSLRequest.
    Postgres,
    /// Greets first.
    Mysql,
    /// Unknown: a connection that stays open is proof enough.
    Anything,
}

impl Speaks {
    /// By the scheme of a database URL: `postgres`, `postgresql`, `postgis`, `mysql`, `mysql2`,
    /// `mariadb`, `trilogy`.
    pub fn of_scheme(scheme: &str) -> Speaks {
        match scheme {
            "postgres" | "postgresql" | "postgis" => Speaks::Postgres,
            "mysql" | "mysql2" | "mariadb" | "trilogy" => Speaks::Mysql,
            _ => Speaks::Anything,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Speaks::Postgres => "PostgreSQL",
            Speaks::Mysql => "MySQL",
            Speaks::Anything => "the service",
        }
    }

    /// Its port when a URL says none.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Speaks::Postgres => Some(5432),
            Speaks::Mysql => Some(3306),
            Speaks::Anything => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_urls_scheme_tells_who_answers_and_where() {
        let known = |scheme| {
            (
                Speaks::of_scheme(scheme),
                Speaks::of_scheme(scheme).default_port(),
            )
        };
        assert_eq!(known("postgresql"), (Speaks::Postgres, Some(5432)));
        assert_eq!(known("mysql2"), (Speaks::Mysql, Some(3306)));
        assert_eq!(known("sqlite3"), (Speaks::Anything, None));
    }
}
