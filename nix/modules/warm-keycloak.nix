# The live Keycloak for recipes with single sign-on: up since boot, and kept at the newest release of its recipe.
{ config, lib, ... }:
let
  cfg = config.services.ccci.warm-keycloak;
  units = import ./units.nix { inherit config lib; };
in
{
  imports = [ ./options.nix ];

  options.services.ccci.warm-keycloak = {
    enable = lib.mkEnableOption "the live Keycloak, kept up by ccci";
    at = lib.mkOption {
      type = lib.types.str;
      default = "*-*-* 04:30:00";
      description = "When it is brought up to date (systemd.time).";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd = units.provider {
      recipe = "keycloak";
      inherit (cfg) at;
      before = [ "warm-traefik.service" ];
    };
  };
}
