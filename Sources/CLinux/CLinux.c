static int kyro_clinux_unit __attribute__((unused));
