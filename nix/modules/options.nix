# Where ccci is on this host, for all of its modules.
{ lib, ... }:
{
  options.services.ccci = {
    program = lib.mkOption {
      type = lib.types.str;
      example = "/opt/ccci/venv/bin/ccci";
      description = "The program ccci; it is installed by other means, such as a venv.";
    };
    settings = lib.mkOption {
      type = lib.types.str;
      default = "/etc/ccci/ccci.toml";
      description = "Its settings file. It names this host, which ccci reaches over SSH like any other.";
    };
    home = lib.mkOption {
      type = lib.types.str;
      default = "/var/lib/ccci";
      description = "Where it keeps results.";
    };
    path = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
      description = "Packages for the PATH of its units, besides those that every unit of NixOS has.";
    };
  };
}
