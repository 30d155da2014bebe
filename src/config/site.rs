//! A site: bins and their time zone, for who replays their history.

use super::bin::{BinId, BinSettings};
use super::check::Checks;
use super::file::File;
use super::key::KeyPath;
use super::layer::{Environment, Layers};
use super::load::located;
use super::problem::Problems;
use super::read::{Read, Reader};
use super::schema::settings;
use super::secret::Places;
use super::source::Sources;
use super::timing::Zone;
use std::collections::BTreeMap;
use std::path::Path;

settings! {
    /// A site.
    pub struct Site {
        /// Where its days begin.
        pub timezone: Zone = "Europe/Stockholm",
        /// Its bins, each by its name in the record.
        pub bin: BTreeMap<BinId, BinSettings> = {},
    }
}

impl Site {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let problems =
            |errors| Problems { errors, warnings: Vec::new(), sources: Sources::default() };
        let file = File::read(path).map_err(|problem| problems(vec![*problem]))?;
        let layers = Layers::new(vec![file], Environment::new([]));
        let mut reader = Reader::default();
        let site = Site::read(&mut reader, &KeyPath::default(), layers.merged());
        let places = Places::new(path, None);
        // a bin without a position is none to warn of: nobody drives there
        let mut checks = Checks::new(&mut reader, &places);
        for (id, bin) in site.iter().flat_map(|site| &site.bin) {
            checks.bin(&KeyPath::default().key("bin").key(id.as_str()), bin, false);
        }
        let errors = located(&layers, reader.faults);
        site.filter(|_| errors.is_empty()).ok_or_else(|| problems(errors))
    }
}
