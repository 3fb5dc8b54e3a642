//! Writes the module: the guest's sections, each followed by the rewriter's additions to it.

use super::{ModuleReader, id};
use crate::engine::Translation;
use crate::rewrite::binary::{i64_const, op, prefix_len, unsigned};
use crate::rewrite::index_spaces;
use crate::rewritten::{
    self, FRAMES, HOST, HOST_FUNCTIONS, Hidden, OWN_MEMORY, PEAK_DEPTH, PEAK_STACK, REFUND, Rewritten, START,
};
use alloc::vec::Vec;

impl ModuleReader<'_> {
    /// Writes the module.
    pub(super) fn write(mut self) -> (Vec<u8>, Rewritten) {
        self.is_lazy = self.translation != Translation::AtLoad && self.code.costs.allow_first_use();
        if !self.code.costs.large.is_empty() {
            // Large functions are translated in an instance.
            let load = self.load.saturating_add(self.spaces.all_initial_bytes());
            self.is_lazy &= load <= self.max_load_bytes;
            if self.is_lazy {
                self.load = load;
            } else {
                self.code.costs.large.clear();
            }
        }
        let mut out = Vec::with_capacity(self.bytes + self.code.len());
        out.extend_from_slice(b"\0asm\x01\0\0\0");
        for id in id::ORDER {
            self.write_section(id, &mut out);
        }
        let hidden = Hidden {
            frames: Some(()),
            refund: self.code.needs.refund.then_some(()),
            peaks: self.profile.then_some(((), ())),
        };
        let rewritten = Rewritten {
            hidden,
            counts_frames: self.code.needs.frame_counters || self.profile || self.reports.is_some(),
            has_start: self.start.is_some(),
            grows: self.code.needs.growth,
            is_lazy: self.is_lazy,
            has_vectors: self.code.needs.vectors,
            large: self.code.costs.large.len() as u32,
            costs: core::mem::take(&mut self.code.costs.reported),
            load_bytes: self.load,
            instance: self.instance.sum(&self.spaces),
        };
        (out, rewritten)
    }

    fn write_section(&mut self, id: u8, out: &mut Vec<u8>) {
        let section = self.sections[id as usize].clone();
        let (added, additions) = self.additions(id);
        let removed = u32::from(id == id::IMPORT && self.defined_import.is_some());
        if !section.present && added == 0 {
            return;
        }
        out.push(id);
        let count = u64::from(section.count - removed + added);
        let mut entries = |size: usize| {
            let size = prefix_len(count as usize) + size + additions.len();
            unsigned(out, size as u64);
            unsigned(out, count);
        };
        match id {
            id::CODE => {
                entries(self.code.len());
                for part in core::mem::take(&mut self.code.parts) {
                    out.extend_from_slice(&part);
                }
            }
            id::IMPORT | id::MEMORY => {
                let mut written = Vec::new();
                if id == id::IMPORT {
                    self.write_imports(&section, &mut written);
                } else {
                    self.write_memories(section.count + added, &mut written);
                }
                entries(written.len());
                out.append(&mut written);
            }
            _ => {
                entries(section.entries.len());
                out.extend_from_slice(&self.wasm[section.entries]);
            }
        }
        out.extend_from_slice(&additions);
    }

    /// Writes the memories that the module defines.
    ///
    /// A memory of up to 2^64 bytes makes wasmi 2.0.0 panic when it grows, because the size overflows 64 bits. A host does not
    /// have that much, so a limit that is one page lower makes no difference to the guest.
    fn write_memories(&self, defined: u32, out: &mut Vec<u8>) {
        let imported = self.spaces.memories.len().saturating_sub(defined as usize);
        for memory in self.spaces.memories.iter().skip(imported) {
            const HAS_MAXIMUM: u8 = 1;
            const IS_64: u8 = 4;
            const HAS_PAGE_SIZE: u8 = 8;
            let mut flags = if memory.memory64 { IS_64 } else { 0 };
            if memory.maximum.is_some() {
                flags |= HAS_MAXIMUM;
            }
            if memory.page_size_log2.is_some() {
                flags |= HAS_PAGE_SIZE;
            }
            out.push(flags);
            let largest = u64::MAX >> index_spaces::page_size_log2(memory);
            unsigned(out, memory.initial.min(largest));
            if let Some(maximum) = memory.maximum {
                unsigned(out, maximum.min(largest));
            }
            if let Some(log2) = memory.page_size_log2 {
                unsigned(out, log2.into());
            }
        }
    }

    /// Returns the additions to a section: the number of entries, and their bytes.
    fn additions(&self, id: u8) -> (u32, Vec<u8>) {
        let mut out = Vec::new();
        let globals = self.hidden_globals();
        let count = match id {
            // `write_memories` writes it.
            id::MEMORY => self.defined_import.is_some().into(),
            id::TYPE if self.calls_host() => {
                out.extend([0x60, 2, op::I64, op::I64, 0]);
                1
            }
            id::TABLE if self.calls_host() => {
                let size = HOST_FUNCTIONS as u8;
                out.extend([0x70, 1, size, size]);
                1
            }
            id::GLOBAL => {
                let mut globals_of = |count: u32, initial: i64| {
                    for _ in 0..count {
                        out.extend([op::I64, 1]);
                        i64_const(&mut out, initial);
                        out.push(op::END);
                    }
                    count
                };
                let reports = self.reports.map_or(0, |reports| reports.globals);
                globals_of(globals.count(), 0) + globals_of(reports, -1)
            }
            id::EXPORT => {
                const FUNCTION: u8 = 0;
                const TABLE: u8 = 1;
                const MEMORY: u8 = 2;
                const GLOBAL: u8 = 3;
                let mut count = 0;
                let mut export = |name: &str, kind: u8, index: u32| {
                    unsigned(&mut out, name.len() as u64);
                    out.extend_from_slice(name.as_bytes());
                    out.push(kind);
                    unsigned(&mut out, index.into());
                    count += 1;
                };
                export(FRAMES, GLOBAL, globals.frames);
                if self.code.needs.refund {
                    export(REFUND, GLOBAL, globals.refund);
                }
                if let Some((stack, depth)) = globals.peaks {
                    export(PEAK_STACK, GLOBAL, stack);
                    export(PEAK_DEPTH, GLOBAL, depth);
                }
                if self.calls_host() {
                    export(HOST, TABLE, self.spaces.tables.len() as u32);
                }
                if self.defined_import.is_some() {
                    export(OWN_MEMORY, MEMORY, 0);
                }
                if let Some(start) = self.start {
                    export(START, FUNCTION, start);
                }
                for (n, function) in (0..).zip(&self.code.costs.large) {
                    export(&rewritten::large(n), FUNCTION, *function);
                }
                count
            }
            _ => 0,
        };
        (count, out)
    }
}
