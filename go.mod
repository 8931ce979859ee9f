module gitdag

go 1.26
