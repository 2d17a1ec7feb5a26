;; One component makes a resource and another is lent it, beside lists of records that hold texts in another encoding.
(component
  (component $maker
    (type $thing' (resource (rep i32)))
    (export $thing "thing" (type $thing'))
    (core func $new (canon resource.new $thing'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "make") (result i32) (call $new (i32.const 7)))
      (func (export "use") (param i32 i32 i32)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (type $named (record (field "name" string) (field "of" (list u64))))
    (export $named' "named" (type $named))
    (func (export "make") (result (own $thing)) (canon lift (core func $i "make")))
    (func (export "use") (param "it" (borrow $thing)) (param "with" (list $named'))
      (canon lift (core func $i "use") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
        string-encoding=latin1+utf16)))
  (component $user
    (import "thing" (type $thing (sub resource)))
    (type $named (record (field "name" string) (field "of" (list u64))))
    (import "named" (type $named' (eq $named)))
    (import "make" (func $make (result (own $thing))))
    (import "use" (func $use (param "it" (borrow $thing)) (param "with" (list $named'))))
    (core module $store
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $store (instantiate $store))
    (core func $make (canon lower (func $make)))
    (core func $use
      (canon lower (func $use) (memory (core memory $store "memory")) (realloc (core func $store "realloc"))))
    (core module $m
      (import "" "make" (func $make (result i32)))
      (import "" "use" (func $use (param i32 i32 i32)))
      (func (export "run") (call $use (call $make) (i32.const 0) (i32.const 1))))
    (core instance $i (instantiate $m
      (with "" (instance (export "make" (func $make)) (export "use" (func $use))))))
    (func (export "run") (canon lift (core func $i "run"))))
  (instance $maker (instantiate $maker))
  (instance $user (instantiate $user
    (with "thing" (type $maker "thing"))
    (with "named" (type $maker "named"))
    (with "make" (func $maker "make"))
    (with "use" (func $maker "use"))))
  (export "run" (func $user "run")))
