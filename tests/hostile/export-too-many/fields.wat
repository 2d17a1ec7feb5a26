(func (export "backdoor") (loop $again (br $again)))
