;; A state machine whose states tail-call each other, directly and through a table: n steps, one frame.
(module
  (type $state (func (param i32 i64) (result i64)))
  (table 4 funcref)
  (elem (i32.const 0) $double $add $next $odd)

  (func $next (type $state)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_indirect (type $state)
      (i32.sub (local.get 0) (i32.const 1))
      (local.get 1)
      (i32.and (i32.xor (i32.wrap_i64 (local.get 1)) (local.get 0)) (i32.const 3))))

  (func $double (type $state)
    (return_call $next (local.get 0) (i64.add (i64.shl (local.get 1) (i64.const 1)) (i64.const 1))))

  (func $add (type $state)
    (return_call $next (local.get 0) (i64.xor (i64.add (local.get 1) (i64.const 77)) (i64.shr_u (local.get 1) (i64.const 7)))))

  (func $odd (type $state) (local $unused f64)
    (return_call $double (local.get 0) (i64.rotl (local.get 1) (i64.const 13))))

  (func (export "run") (param i32) (result i64)
    (call $next (local.get 0) (i64.const 1))))
