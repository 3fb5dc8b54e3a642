//! Rewrites a module, once, so that running it counts fuel, frames and stack bytes exactly.
//!
//! The interpreter can charge fuel by itself, but only per operator. Here it charges only for `nop`s
//! ([`operator_cost`](crate::metering::operator_cost)), and the rewriter inserts as many as a whole region costs, on
//! as few paths as possible. This page follows one function through these steps.
//!
//! ```text
//!  operators     sections, code, body       parse the sections, then the operators of each function
//!      │
//!      ▼
//!  graph         flow, cfg                  nodes: branch points, labels, loop headers
//!      │                                    edges: straight-line regions, with frequencies
//!      ▼
//!  costs         flow                       control-equivalent regions share one charge
//!      │
//!      ▼
//!  re-weighting  reweight                   cost'(u, v) = cost(u, v) + π(u) − π(v)
//!      │
//!      ▼
//!  emission      body, guard                copy the body; insert charges, frame counters, refunds
//! ```
//!
//! # 1. Operators
//!
//! [`sections`] parses the module and hands each function to a [`BodyRewriter`](body::BodyRewriter). Its first pass visits the
//! operators in order. Most take a fast path (`body/fast_path.rs`), which adds the cost of the operator
//! ([`schedule`](crate::schedule)) at the current position and tracks the height of the operand stack. Control operators extend
//! the graph. Where the second pass has to change something, the first records an edit with its offset.
//!
//! As an example, a function that adds up numbers until the sum exceeds 100:
//!
//! ```text
//! (func (param $n i32) (result i32) (local $sum i32)
//!   block $done
//!     loop $next
//!       (br_if $done (i32.gt_u (local.tee $sum (i32.add (local.get $sum) (local.get $n))) (i32.const 100)))
//!       (local.set $n (i32.add (local.get $n) (i32.const 1)))
//!       br $next
//!     end
//!   end
//!   (i32.add (i32.shl (local.get $sum) (i32.const 1)) (local.get $n)))
//! ```
//!
//! # 2. The control-flow graph
//!
//! [`flow`] builds a [`ControlFlowGraph`](cfg::ControlFlowGraph) on the fly. Structured control flow makes that easy:
//! the target of a branch is the label of an open frame. Frequencies are guesses: a loop iterates 8 times, an arm of
//! an `if` runs every second time. Each edge also records how it can be [charged](cfg::Charge). The graph of the
//! example:
//!
//! ```text
//!                e0: entry            e1: iteration
//!    OUTSIDE ───────────────▶ $next ───────────────▶ branch point
//!       ▲                       ▲                      │     │
//!       │                       └──────────────────────┘     │
//!       │ e4: after block         e3: fall-through           │ e2: taken
//!       └────────────────────── $done ◀──────────────────────┘
//! ```
//!
//! # 3. Initial costs
//!
//! Each operator adds its cost to the *payer* of its position: the edge that it is on, or an earlier edge that is
//! taken exactly as often (see [`flow`]). In the example, every call that enters the block also leaves it at its end.
//! So the 5 operators after it belong to `e0`, with the 1 for entering the function, and not to `e4`.
//!
//! | edge | charge | frequency | initial cost | potentials | final cost |
//! | --- | --- | --- | --- | --- | --- |
//! | `e0` OUTSIDE → `$next` | `Always` | 1 | 1 + 5 = 6 | + 0 − 5 | 1 |
//! | `e1` `$next` → branch point | `Always` | 8 | 7 | + 5 − 0 | 12 |
//! | `e2` branch point → `$done` | `Branch` | 1 | 0 | + 0 − 0 | 0 |
//! | `e3` branch point → `$next` | `OnDemand` | 7 | 5 | + 0 − 5 | 0 |
//! | `e4` `$done` → OUTSIDE | `OnDemand` | 1 | 0 | + 0 − 0 | 0 |
//!
//! # 4. Re-weighting
//!
//! [`reweight`] chooses a potential for each node and changes the costs accordingly, as in Johnson's algorithm
//! (1977): every path costs the same as before. It minimises the sum of the frequencies of the edges that charge,
//! greedily, starting with the most frequent edge. The bounds: costs do not become negative (nor 0 on `Always`
//! edges); a call owes at most 128 at any node, for code that has already run; and the sum of the costs grows by at
//! most half of itself plus 16. For `E` edges that takes `O(E log E)`.
//!
//! In the example, `e3` comes first. To make it free, the potential of `$next` rises by 5, which `e0` can afford: it
//! keeps the 1 that the interpreter charges anyway. Now an iteration charges once instead of twice.
//!
//! # 5. Emission
//!
//! The second pass copies the body and applies the edits. For an edge of cost `n` it emits:
//!
//! | charge | `n` = 0 | `n` > 0 |
//! | --- | --- | --- |
//! | [`Always`](cfg::Charge::Always) | a refund: a hidden global += 1 | `n` − 1 `nop`s, since the interpreter charges 1 |
//! | [`OnDemand`](cfg::Charge::OnDemand) | nothing | `loop`, `n` − 1 `nop`s, `end` |
//! | [`Branch`](cfg::Charge::Branch) | the `br_if` as it is | `if`, `n` − 1 `nop`s, `br` to the label, `end` |
//! | [`Never`](cfg::Charge::Never) | nothing | does not occur: the cost is 0 and fixed |
//!
//! The host subtracts the refunds from the fuel. A `loop` of cost 0 without a branch to it becomes a `block` instead.
//!
//! At the entry of each function, [`guard`] emits code that adds its frame to the [frame
//! counters](crate::metering::frames), and traps if a limit is exceeded. A function with calls keeps the sum in a
//! hidden local and stores it in the global before each call. The example becomes:
//!
//! ```text
//! (func (param $n i32) (result i32) (local $sum i32)
//!   block                                                      ;; 32 bytes: 2 locals, at most 2 operands
//!     (i64.add (global.get $frames) (i64.const 0x1_0000_0020))
//!     (br_if 0 (i64.eqz (i64.and (; the sum ;) (i64.const 0x4000_0000_8000_0000))))
//!     (global.set $frames (i64.add (global.get $frames) (i64.const 0x1_0000_0020)))
//!     unreachable
//!   end                                                        ;; e0 costs 1: no `nop`
//!   block $done
//!     loop $next                                               ;; e1 costs 12: 11 `nop`s
//!       nop nop nop nop nop nop nop nop nop nop nop
//!       (br_if $done (i32.gt_u (local.tee $sum (i32.add (local.get $sum) (local.get $n))) (i32.const 100)))
//!       (local.set $n (i32.add (local.get $n) (i32.const 1)))
//!       br $next                                               ;; e2 and e3 are free
//!     end
//!     unreachable                                              ;; the code after the loop is dead
//!   end                                                        ;; e4 is free
//!   (i32.add (i32.shl (local.get $sum) (i32.const 1)) (local.get $n)))
//! ```
//!
//! # What else is added
//!
//! A guest cannot name anything that the rewriter adds:
//!
//! - Hidden globals and locals follow the guest's own, so the guest's indices do not change. An index of the guest that
//!   refers to a hidden item is invalid, and the module is refused.
//! - Hidden exports have names that are refused in a guest.
//!
//! In a module with much code, functions report their first use to the host ([`first_use`]): the test at their entry also
//! fails while the highest bit of the frame counters is set, and then a bit of a hidden global says whether the function was
//! used before.
//!
//! ```text
//! block
//!   block
//!     (br_if 1 (i64.eqz (i64.and (local.tee $sum (; as above ;)) (i64.const 0xc000_0000_8000_0000))))
//!     (br_if 0 (i64.eqz (i64.and (local.get $sum) (i64.const 0x4000_0000_8000_0000))))
//!     (global.set $frames (local.get $sum))
//!     unreachable
//!   end
//!   (br_if 0 (i64.eqz (i64.and (global.get $unused) (; its bit ;))))
//!   (global.set $unused (i64.xor (global.get $unused) (; its bit ;)))
//!   (call_indirect $host (; its index ;) (i64.const 0) (i32.const 1))
//! end
//! ```
//!
//! The start function becomes an export, so that it runs under the same limits as any call. Some operators are changed because
//! of bugs in the interpreter (`body/wasmi_workarounds.rs`), or because it would [fold constants](literals).
//!
//! Functions are validated once, by the interpreter, in their rewritten form. Those in which rewriting could hide an error
//! are validated here as well (`body/validity.rs`).

mod binary;
mod body;
mod cfg;
mod code;
mod first_use;
mod flow;
mod frame_counters;
mod index_spaces;
mod literals;
mod load_estimate;
mod operators;
mod reweight;
mod sections;

#[cfg(test)]
mod tests;

pub(crate) use sections::{module, validate};
