//! Beginning with a plan that there is.

use super::model::{DEAREST, Kind, NONE};
use super::tour::Tour;

/// A visit of a route that is to be laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// Of a stop, by its node.
    Stop(u32),
    /// Of a site.
    Site(usize),
}

impl Tour<'_> {
    /// Lays these visits into a route in which there are none, all of them if that is possible,
    /// else one after the other, those that are.
    pub(super) fn lay(&mut self, route: u32, visits: &[Call]) {
        if !visits.iter().any(|visit| matches!(visit, Call::Stop(_))) {
            return;
        }
        if self.model.kind == Kind::All && self.lay_whole(route, visits) {
            return;
        }
        let mut last = self.model.start(route);
        // a visit to a site is worth nothing before the stop behind it
        let mut site = None;
        for visit in visits {
            match *visit {
                Call::Site(number) => site = Some(number),
                Call::Stop(stop) => {
                    let via = site.take().and_then(|site| self.free_visit(site));
                    if let Some(via) = via {
                        self.chain_site(via, last);
                    }
                    if self.append(stop, via.unwrap_or(last)) {
                        last = stop;
                    } else if let Some(via) =
                        via.filter(|via| self.nodes[*via as usize].route != NONE)
                    {
                        self.unchain_site(via);
                    }
                }
            }
        }
        if !self.has_a_way(route) {
            self.clear(route, &mut Vec::new());
        }
        if self.model.kind == Kind::All {
            self.settle(route);
        }
    }

    /// Whether there is a way between all visits of a route.
    fn has_a_way(&self, route: u32) -> bool {
        let mut node = self.model.end(route);
        while node != NONE {
            let here = &self.nodes[node as usize];
            if here.cost >= DEAREST as i32 {
                return false;
            }
            node = here.prev;
        }
        true
    }

    /// Lays all visits, and says whether that is possible; if not, nothing has changed.
    fn lay_whole(&mut self, route: u32, visits: &[Call]) -> bool {
        let model = self.model;
        // a vehicle under way may have its visit to a site already
        let mut known = Vec::new();
        let mut node = self.nodes[model.start(route) as usize].next;
        while node != model.end(route) {
            known.push(model.site_of(node));
            let next = self.nodes[node as usize].next;
            self.unchain_site(node);
            node = next;
        }
        let skills = model.crews[route as usize].skills;
        let mut last = model.start(route);
        let mut possible = true;
        for visit in visits {
            let node = match *visit {
                Call::Stop(stop) => {
                    possible &= model.fixed[stop as usize].skills & !skills == 0;
                    self.link(stop, last);
                    stop
                }
                Call::Site(site) => {
                    let Some(node) = self.free_visit(site) else {
                        possible = false;
                        break;
                    };
                    self.chain_site(node, last);
                    node
                }
            };
            last = node;
        }
        if possible
            && self.has_a_way(route)
            && (!model.is_stop(last) || !model.ends_at_site)
            && self.reckon(route)
        {
            return true;
        }
        while last != model.start(route) {
            let prev = self.nodes[last as usize].prev;
            if model.is_stop(last) {
                self.unlink(last);
            } else {
                self.unchain_site(last);
            }
            last = prev;
        }
        for site in known {
            if let Some(node) = self.free_visit(site) {
                self.chain_site(node, model.start(route));
            }
        }
        self.reckon(route);
        false
    }

    /// Puts a stop behind `last`, the last visit of its route so far; false if it does not fit
    /// there, and nothing has changed.
    fn append(&mut self, stop: u32, last: u32) -> bool {
        let model = self.model;
        let route = self.nodes[last as usize].route;
        let all = model.kind == Kind::All;
        let costs = &model.costs_of(route).to;
        let fixed = &model.fixed[stop as usize];
        let next = self.nodes[last as usize].next;
        let ways = [model.way(last, stop), model.way(stop, next)];
        if ways.iter().any(|way| costs[*way] >= DEAREST)
            || all && !self.admits(route, stop)
            || !all && (0..2).any(|kind| self.room[route as usize][kind] < fixed.load[kind])
        {
            return false;
        }
        self.link(stop, last);
        let possible = match model.kind {
            Kind::Loads => true,
            Kind::Times => {
                self.forward(stop);
                self.backward(stop);
                let begin = self.nodes[stop as usize].done - fixed.service;
                begin <= self.nodes[stop as usize].due
            }
            Kind::All => self.settle(route),
        };
        if !possible {
            self.unlink(stop);
            match model.kind {
                Kind::Loads => {}
                Kind::Times => self.retime(last, self.nodes[last as usize].next),
                Kind::All => {
                    self.settle(route);
                }
            }
        }
        possible
    }
}
