//! Who may speak at the UDP port, and what is told of those who may not.

use super::MAX_CONCENTRATORS;
use super::roster::Noted;
use crate::message;
use crate::units::GatewayEui;
use ipnet::IpNet;
use std::net::IpAddr;

/// The allow-lists. The protocol has no authentication, so this keeps mistakes out, and
/// strangers only as far as the network does.
#[derive(Debug)]
pub(super) struct Admission {
    allow: Vec<GatewayEui>,
    allow_from: Vec<IpNet>,
    // each is told once: a stranger shall not fill the journal
    refused: bool,
    refused_source: bool,
    crowded: bool,
}

impl Admission {
    /// With these lists, of which an empty one allows everything.
    pub(super) fn new(allow: Vec<GatewayEui>, allow_from: Vec<IpNet>) -> Self {
        Self { allow, allow_from, refused: false, refused_source: false, crowded: false }
    }

    /// Whether datagrams of this address are listened to.
    pub(super) fn source(&mut self, source: IpAddr) -> bool {
        if self.allow_from.is_empty() || lies_in(&self.allow_from, source) {
            return true;
        }
        if !std::mem::replace(&mut self.refused_source, true) {
            log::warn!(
                MESSAGE_ID = message::CONCENTRATOR_SOURCE_REFUSED;
                "datagrams from {} are refused: it is in no network of [concentrator] \
                 allow_from; further ones are only counted",
                source.to_canonical()
            );
        }
        false
    }

    /// Whether this concentrator may speak.
    pub(super) fn gateway(&mut self, gateway: GatewayEui) -> bool {
        if self.allow.is_empty() || self.allow.contains(&gateway) {
            return true;
        }
        if !std::mem::replace(&mut self.refused, true) {
            log::warn!(
                MESSAGE_ID = message::CONCENTRATOR_REFUSED,
                LYKTA_CONCENTRATOR = gateway.to_string();
                "concentrator {gateway} is refused: it is not in [concentrator] allow; further \
                 ones are only counted"
            );
        }
        false
    }

    /// Tells of one that may, where there is news.
    pub(super) fn note(&mut self, gateway: GatewayEui, noted: Noted) {
        match noted {
            Noted::Known => {}
            Noted::First => log::info!(
                MESSAGE_ID = message::CONCENTRATOR_HEARD,
                LYKTA_CONCENTRATOR = gateway.to_string();
                "concentrator {gateway} is heard"
            ),
            Noted::AfterSilence => log::info!(
                MESSAGE_ID = message::CONCENTRATOR_HEARD,
                LYKTA_CONCENTRATOR = gateway.to_string();
                "concentrator {gateway} is heard again"
            ),
            Noted::Crowd => {
                if !std::mem::replace(&mut self.crowded, true) {
                    log::warn!(
                        MESSAGE_ID = message::CONCENTRATORS_CROWD,
                        LYKTA_CONCENTRATOR = gateway.to_string();
                        "more than {MAX_CONCENTRATORS} concentrators speak, {gateway} is the next: \
                         what they hear is used, but nobody is told when one of them goes silent, \
                         and they get no downlinks; if their names are made up, list yours in \
                         [concentrator] allow"
                    );
                }
            }
        }
    }
}

/// An IPv6 socket hears IPv4 as ::ffff:192.0.2.1; networks are written in either form.
fn lies_in(networks: &[IpNet], source: IpAddr) -> bool {
    let plain = source.to_canonical();
    networks.iter().any(|network| network.contains(&plain) || network.contains(&source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_in_either_form() {
        let lies = |network: &str, source: &str| {
            let network = network.parse().expect("a network");
            lies_in(&[network], source.parse().expect("an address"))
        };
        assert!(lies("192.168.7.0/24", "192.168.7.9"));
        assert!(lies("192.168.7.0/24", "::ffff:192.168.7.9"));
        assert!(lies("::ffff:192.168.7.0/120", "::ffff:192.168.7.9"));
        assert!(lies("fd00::/8", "fd12::1"));
        assert!(!lies("192.168.7.0/24", "192.168.8.9"));
        assert!(!lies("192.168.7.0/24", "::ffff:192.168.8.9"));
        assert!(!lies("fd00::/8", "192.168.7.9"));
    }
}
