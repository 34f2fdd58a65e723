# What the modules share: how a unit of ccci looks. `ccci host install` writes the same ones on other hosts
# (ccci/hosting/units.py); a test compares them.
{ config, lib }:
let
  cfg = config.services.ccci;

  service = { name, words, about, before ? [ ], limit ? "2h", more ? { }, wantedBy ? [ ] }: {
    description = "ccci: ${about}";
    after = [ "network-online.target" "docker.service" "ssh.service" "sshd.service" ] ++ before;
    wants = [ "network-online.target" ];
    inherit wantedBy;
    path = cfg.path;
    environment = {
      LANG = "C.UTF-8";
      CCCI_SETTINGS = cfg.settings;
      CCCI_HOME = cfg.home;
    };
    startLimitIntervalSec = 3600;
    startLimitBurst = 3;
    # A reconcile in the middle of an upgrade must not be stopped because the system's configuration is switched.
    restartIfChanged = false;
    serviceConfig = {
      Type = "oneshot";
      ExecStart = "${cfg.program} ${words}";
      # A release that was rolled back is no fault of this host: an alert says so, and the old one serves.
      SuccessExitStatus = 1;
      TimeoutStartSec = limit;
      TimeoutStopSec = "15min";
      KillMode = "mixed";
      StandardOutput = "journal";
      StandardError = "journal";
      SyslogIdentifier = name;
    } // more;
  };
in
rec {
  # A service and the timer that starts it; `when` is the timer's own section.
  timed = { name, words, about, when, limit ? "2h" }: {
    services.${name} = service { inherit name words about limit; };
    timers.${name} = {
      description = "ccci: ${about}, by the clock";
      wantedBy = [ "timers.target" ];
      timerConfig = when // { Unit = "${name}.service"; };
    };
  };

  # A provider: brought up at boot, after those in `before`, and brought up to date by the clock.
  provider = { recipe, at, before ? [ ] }:
    let
      name = "warm-${recipe}";
      words = "play reconcile_${recipe}";
      update = timed {
        name = "ccci-reconcile-${recipe}";
        inherit words;
        about = "bring ${recipe} up to date";
        when = byCalendar at;
      };
    in
    {
      services = update.services // {
        ${name} = service {
          inherit name words before;
          about = "${recipe}, up and healthy";
          more = {
            RemainAfterExit = true;
            Restart = "on-failure";
            RestartSec = 60;
          };
          wantedBy = [ "multi-user.target" ];
        };
      };
      timers = update.timers;
    };

  byCalendar = at: {
    OnCalendar = at;
    RandomizedDelaySec = "10min";
    Persistent = true;
  };
}
