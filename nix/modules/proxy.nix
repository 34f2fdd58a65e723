# The proxy that all apps are behind: up since boot, and kept at the newest release of its recipe.
{ config, lib, ... }:
let
  cfg = config.services.ccci.proxy;
  units = import ./units.nix { inherit config lib; };
in
{
  imports = [ ./options.nix ];

  options.services.ccci.proxy = {
    enable = lib.mkEnableOption "the proxy, kept up by ccci";
    at = lib.mkOption {
      type = lib.types.str;
      default = "*-*-* 03:30:00";
      description = "When it is brought up to date (systemd.time).";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd = units.provider { recipe = "traefik"; inherit (cfg) at; };
  };
}
