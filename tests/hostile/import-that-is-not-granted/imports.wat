(import "flyball:plugin/state@0.1.0" "keys" (func $keys (param i32)))
