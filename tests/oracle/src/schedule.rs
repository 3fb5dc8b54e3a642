//! The fuel prices. Every number is defined here and nowhere else.

use wasmparser::Operator;

/// The prices of everything that burns fuel.
///
/// [`Schedule::default`] is the sandbox's schedule; [`Schedule::WASMTIME`] has no surcharges and is what Wasmtime 48
/// charges when its per-byte price of bulk operators is set to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Entering a Wasm function by any route: from the host, by a call, by a tail call, as a start function.
    pub function_entry: u64,
    /// Calling a host function, charged when control reaches it (the `call` itself is charged as an operator).
    pub host_entry: u64,
    /// `memory.copy`, `memory.fill`, `memory.init`: this many bytes cost 1, rounded down. 0: free.
    pub memory_bytes_per_fuel: u64,
    /// `table.copy`, `table.init`, `table.fill`, and `table.grow` that succeeds: this many elements cost 1, rounded
    /// down. 0: free.
    pub elements_per_fuel: u64,
    /// `memory.grow` that succeeds: this many bytes of the growth cost 1, rounded down. 0: free.
    pub grow_bytes_per_fuel: u64,
    /// Active data segments at instantiation: this many bytes of one segment cost 1, rounded down. 0: free.
    pub segment_bytes_per_fuel: u64,
    /// Each data and element segment costs this, at instantiation.
    pub segment: u64,
    /// The size, in bytes, that each import, function, global, memory, table, export and segment counts as.
    pub record_bytes: u64,
    /// This many bytes of records, including names of exports, are free. The rest costs fuel like a segment's bytes, and
    /// counts against the memory limit.
    pub free_record_bytes: u64,
    /// Each operator of a constant expression except its first costs this, at instantiation.
    pub constant_operator: u64,
    /// Bytes that one table element counts against the memory limit.
    pub element_bytes: u64,
    /// This many 8-byte slots of declared locals (parameters are not declared locals) are free.
    pub free_local_slots: u64,
    /// Above [`free_local_slots`](Self::free_local_slots), this many slots cost 1, rounded up. 0: free.
    pub local_slots_per_fuel: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            function_entry: 1,
            host_entry: 5,
            memory_bytes_per_fuel: 64,
            elements_per_fuel: 16,
            grow_bytes_per_fuel: 64,
            segment_bytes_per_fuel: 64,
            segment: 1,
            record_bytes: 128,
            free_record_bytes: 131_072,
            constant_operator: 1,
            element_bytes: 8,
            free_local_slots: 64,
            local_slots_per_fuel: 8,
        }
    }
}

impl Schedule {
    /// Operators and function entries only.
    pub const WASMTIME: Self = Self {
        function_entry: 1,
        host_entry: 0,
        memory_bytes_per_fuel: 0,
        elements_per_fuel: 0,
        grow_bytes_per_fuel: 0,
        segment_bytes_per_fuel: 0,
        segment: 0,
        record_bytes: 0,
        free_record_bytes: u64::MAX,
        constant_operator: 0,
        element_bytes: 8,
        free_local_slots: 0,
        local_slots_per_fuel: 0,
    };

    /// Returns the price of executing `operator`, without its surcharge.
    ///
    /// An `else` is executed when control reaches it from the first arm, an `end` when control reaches it; both are
    /// free, so this makes no difference.
    pub fn operator(&self, operator: &Operator<'_>) -> u64 {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::Else
            | Operator::End
            | Operator::Nop
            | Operator::Drop
            | Operator::Return
            | Operator::Unreachable => 0,
            _ => 1,
        }
    }

    /// Returns the surcharge of a bulk memory operator on `len` bytes.
    pub fn memory_bulk(&self, len: u64) -> u64 {
        per(len, self.memory_bytes_per_fuel)
    }

    /// Returns the surcharge of a bulk table operator on `len` elements.
    pub fn table_bulk(&self, len: u64) -> u64 {
        per(len, self.elements_per_fuel)
    }

    /// Returns the surcharge of a `memory.grow` by `bytes`.
    pub fn memory_grow(&self, bytes: u64) -> u64 {
        per(bytes, self.grow_bytes_per_fuel)
    }

    /// Returns the price of a data segment of which `len` bytes are copied.
    pub fn data_segment(&self, len: u64) -> u64 {
        self.segment + per(len, self.segment_bytes_per_fuel)
    }

    /// Returns the price of an element segment of which `len` elements are created, which cost as much as copying them.
    pub fn element_segment(&self, len: u64) -> u64 {
        self.segment + per(len, self.elements_per_fuel)
    }

    /// Returns the price of this many bytes of records.
    pub fn records(&self, bytes: u64) -> u64 {
        per(bytes, self.segment_bytes_per_fuel)
    }

    /// Returns the surcharge for entering a function with `slots` 8-byte slots of declared locals.
    pub fn locals(&self, slots: u64) -> u64 {
        if self.local_slots_per_fuel == 0 {
            return 0;
        }
        slots
            .saturating_sub(self.free_local_slots)
            .div_ceil(self.local_slots_per_fuel)
    }
}

fn per(bytes: u64, bytes_per_fuel: u64) -> u64 {
    bytes.checked_div(bytes_per_fuel).unwrap_or(0)
}
