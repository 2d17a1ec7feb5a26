(import "flyball:plugin/observed@0.1.0" "[method]observation.session" (func $session (param i32 i32)))
