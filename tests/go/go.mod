module chancel-go-client-tests

go 1.21

require github.com/qpher/qpher-go v0.2.0
