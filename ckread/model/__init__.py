"""Records to one vocabulary: variables, their names, roles and tree."""
