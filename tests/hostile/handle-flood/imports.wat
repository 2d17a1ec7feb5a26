(import "flyball:plugin/observed@0.1.0" "[method]window.len" (func $ticks (param i32) (result i32)))
(import "flyball:plugin/observed@0.1.0" "[method]window.at" (func $at (param i32 i32 i32)))
