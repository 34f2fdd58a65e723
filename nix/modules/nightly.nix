# What ccci does by the clock: a night of tests, alerts to people, clearing up after dead runs.
{ config, lib, ... }:
let
  cfg = config.services.ccci.nightly;
  units = import ./units.nix { inherit config lib; };
  jobs = [
    (units.timed {
      name = "ccci-nightly";
      words = "play nightly";
      about = "test every recipe and try every snapshot";
      limit = "26h"; # more than any night: it has deadlines of its own, and cleans up when they are over
      when = units.byCalendar cfg.at;
    })
    (units.timed {
      name = "ccci-alerts";
      words = "play relay_alerts";
      about = "send alerts";
      when = { OnBootSec = "2min"; OnUnitInactiveSec = "5min"; };
    })
    (units.timed {
      name = "ccci-recover";
      words = "play recover";
      about = "clear up after dead runs";
      when = { OnBootSec = "5min"; OnUnitInactiveSec = "1h"; };
    })
  ];
in
{
  imports = [ ./options.nix ];

  options.services.ccci.nightly = {
    enable = lib.mkEnableOption "what ccci does by the clock";
    at = lib.mkOption {
      type = lib.types.str;
      default = "*-*-* 01:00:00"; # before the reconciles' own hours: it reconciles first
      description = "When the night begins (systemd.time).";
    };
  };

  config = lib.mkIf cfg.enable { systemd = lib.mkMerge jobs; };
}
