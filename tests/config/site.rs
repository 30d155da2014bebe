//! A gateway's configuration directory for one test.

use lykta::config::{Loaded, Problems, load_with};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The least configuration that works, with nothing doubtful in it.
pub(crate) const LEAST: &str = r#"gateway = "gw-1"
state_dir = "state"

[concentrator]

[[tenant]]
id = "waste"
kind = "waste"
[tenant.upstream]
urls = ["mqtt://127.0.0.1:1883"]

[[device]]
tenant = "waste"
dev_eui = "70b3d50700001739"
name = "Storgatan 4"
profile = "sensoneo-single"
activation = { abp = { dev_addr = "260b1739", nwk_s_key = "8f1d4a90b7c3e25660a1f4d2798bce03", app_s_key = "c9e07a5134bd286ff15e90a24c8d3b76" } }
bin = "1739"
"#;

/// What is in `keys/care`.
pub(crate) const KEY: &str = "4a1c9e27f8d05b36714e2fa98c03d6b5e07f3a9284d61c5bb9e2470f35a8d1c6";

pub(crate) struct Site(tempfile::TempDir);

impl Site {
    /// A directory with this `lykta.toml`.
    pub(crate) fn new(toml: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("lykta.toml", toml);
        site.write("keys/care", KEY);
        std::fs::create_dir(site.path("state")).unwrap();
        site
    }

    /// Lets every user read this file.
    pub(crate) fn open_to_all(&self, name: &str) {
        let may = std::fs::Permissions::from_mode;
        std::fs::set_permissions(self.path(""), may(0o755)).unwrap();
        std::fs::set_permissions(self.path(name), may(0o644)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn main(&self) -> PathBuf {
        self.path("lykta.toml")
    }

    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        self.load_with(&[])
    }

    pub(crate) fn load_with(&self, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        load_with(Some(&self.main()), variables)
    }

    /// A text with this directory's changing name taken out.
    pub(crate) fn neutral(&self, text: &str) -> String {
        text.replace(&*self.0.path().to_string_lossy(), "/etc/lykta")
    }

    /// Everything that is told about this configuration.
    pub(crate) fn told(&self) -> String {
        let text = match self.load() {
            Ok(loaded) => {
                let warnings = loaded.warnings.iter();
                warnings.map(|w| format!("warning: {w}\n\n")).collect::<String>() + "ok"
            }
            Err(problems) => {
                let warnings = problems.warnings.iter();
                warnings.map(|w| format!("warning: {w}\n\n")).collect::<String>()
                    + &problems.to_string()
            }
        };
        self.neutral(&text)
    }
}
