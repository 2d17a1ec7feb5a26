(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "flyball:plugin/lifecycle@0.1.0#describe") (result i32) (i32.const 1024))
  (func (export "flyball:plugin/lifecycle@0.1.0#check-settings") (result i32) (i32.const 1024)))
