# As much of nixpkgs' module system as the modules use: options with their defaults, imports, mkIf, mkMerge.
# It checks neither types nor names that no option has.
modules: settings:
let
  inherit (builtins) isAttrs foldl' attrNames listToAttrs map concatMap concatLists hasAttr;

  merge = a: b:
    a // listToAttrs (map
      (name: {
        inherit name;
        value =
          if hasAttr name a && isAttrs a.${name} && isAttrs b.${name} then merge a.${name} b.${name} else b.${name};
      })
      (attrNames b));

  lib = {
    mkOption = option: option // { _type = "option"; };
    mkEnableOption = _: lib.mkOption { default = false; };
    mkIf = condition: content: if condition then content else { };
    mkMerge = foldl' merge { };
    types = { str = "str"; package = "package"; listOf = of: [ of ]; };
  };

  load = path:
    let module = import path { inherit config lib; };
    in (concatLists (map load (module.imports or [ ]))) ++ [ module ];

  defaults = options:
    listToAttrs (concatMap
      (name:
        let option = options.${name}; in
        if (option._type or "") == "option"
        then (if option ? default then [{ inherit name; value = option.default; }] else [ ])
        else [{ inherit name; value = defaults option; }])
      (attrNames options));

  loaded = concatLists (map load modules);
  config = merge (foldl' merge { } (map (module: defaults (module.options or { })) loaded)) settings;
in
foldl' merge { } (map (module: module.config or { }) loaded)
